"""The configuration of a Keras 2 model without what only its training needs."""

from __future__ import annotations

from typing import Any

# Weights come from the file, so that nothing of these has any effect.
_TRAINING = ("_initializer", "_regularizer", "_constraint")
_MOVED = {
    "engine.functional": "keras.src.models.functional",
    "engine.sequential": "keras.src.models.sequential",
    "engine.training": "keras.src.models.functional",
    "engine.input_layer": "keras.layers",
    "engine.base_layer": "keras.layers",
}
_POLICIES = ("Policy", "PolicyV1", "AutoCastVariable")
_PRECISIONS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")


def plain(config: Any) -> Any:
    """Return a configuration of Keras 2 without initializers, regularizers, constraints, losses and optimisers.

    Precisions are names in it, arrays are lists, and modules have the names of Keras 3. The configuration of a
    Sequential model, which was the list of its layers once, is an object.

    Parameters
    ----------
    config : dict
        Not changed.
    """
    if isinstance(config, list):
        return [plain(part) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("type") == "ndarray" and set(config) == {"type", "value"}:
        return config["value"]
    if config.get("class_name") == "__numpy__" and isinstance(config.get("config"), dict):
        return config["config"].get("value")
    if config.get("class_name") in _POLICIES:
        return _precision(config)
    part = {key: plain(value) for key, value in config.items() if not _is_of_training(key)}
    if part.get("class_name") == "Sequential" and isinstance(part.get("config"), list):
        part["config"] = {"layers": part["config"]}
    if isinstance(part.get("module"), str):
        part["module"] = _module(part["module"])
    return part


def _is_of_training(key: str) -> bool:
    return key in ("compile_config", "activity_regularizer") or key.endswith(_TRAINING)


def _precision(policy: dict[str, Any]) -> str | None:
    """Return the name of a policy of mixed precision; none for one that leaves the precision to the layer's input."""
    config = policy.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return name if name in _PRECISIONS else None


def _module(module: str) -> str:
    """Return the name that a module of Keras 2 has in Keras 3."""
    for library in ("tf_keras.", "tensorflow.keras.", "tensorflow.python.keras.", "keras."):
        if module.startswith(library):
            rest = module.removeprefix(library)
            return _MOVED.get(rest.removeprefix("src."), f"keras.{rest}")
    return "keras" if module == "tf_keras" else module
