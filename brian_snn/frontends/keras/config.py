"""Read through the configuration of a Keras model, as plain JSON, and refuse all that Keras must not rebuild.

Keras imports the module and looks up the class that an object names. So everywhere, not only where layers belong, an
object must be a layer that can be converted or one of Keras' plain records.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.hints import foreign, unsupported
from brian_snn.frontends.keras.layers import OWN_LAYERS, READERS

MODELS = ("Functional", "Sequential", "Model")

_LAYERS = (*READERS, *MODELS, "InputLayer")
# Parts of Keras whose objects are plain records; others, such as keras.utils, hold functions that do things.
_RECORDS = ("initializers", "regularizers", "constraints", "dtype_policies", "ops", "activations")
_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "QuantizedDTypePolicy")
_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "__typespec__", "function")


def without_training(config: Any) -> Any:
    """Return a configuration without loss and optimiser, which are not loaded, of nested models either."""
    if isinstance(config, list):
        return [without_training(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {key: without_training(value) for key, value in config.items() if key != "compile_config"}


def refuse_code(config: dict[str, Any], what: str, also: Collection[str] = ()) -> None:
    """Raise unless everything that a configuration names is a layer that can be converted or a record of Keras' own.

    Parameters
    ----------
    config : dict
        Of the whole model.
    what : str
        The file; begins the message.
    also : collection of str
        Classes that are no layers of Keras 3 and are known nevertheless.

    Raises
    ------
    ModelError
        If it holds anything else; the message names the layer.
    """
    pending: list[tuple[Any, str, bool]] = [(config, "", True)]
    while pending:
        part, owner, is_layer = pending.pop()
        if isinstance(part, dict):
            owner = _checked_object(part, owner, is_layer, what, also) if "class_name" in part else owner
            if isinstance(activation := part.get("activation"), dict) and "class_name" not in activation:
                raise foreign(f"{what}: {owner}", "__lambda__", "", "")
            pending += [(value, owner, False) for key, value in part.items() if key != "layers"]
            pending += [(layer, owner, True) for layer in _layers(part, what)]
        elif isinstance(part, list):
            pending += [(value, owner, False) for value in part]


def _layers(part: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """Return the layers of a model, each an object with a class; none of any other object."""
    layers = part.get("layers", [])
    entries = layers if isinstance(layers, list) else [layers]
    for entry in entries:
        if not (isinstance(entry, dict) and isinstance(entry.get("class_name"), str)):
            raise ModelError(f"{what}: its configuration is damaged: {str(entry)[:60]!r} stands where a layer should.")
        if not isinstance(entry.get("config"), dict):
            raise ModelError(f"{what}: its configuration is damaged: a {entry['class_name']} has no configuration.")
    return entries


def _checked_object(part: dict[str, Any], owner: str, is_layer: bool, what: str, also: Collection[str]) -> str:
    """Check one serialised object; return the label of the layer to which its parts belong."""
    class_name, module, registered = (str(part.get(key) or "") for key in ("class_name", "module", "registered_name"))
    config = part.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    label = f"layer {name!r} ({class_name})" if is_layer else owner or f"object {class_name!r}"
    place = _place(module)
    own = (module, class_name) in OWN_LAYERS or (place == "keras" and class_name in (*MODELS, *_POLICIES))
    known = own or place in ("", "layers", "models", *_RECORDS)
    if class_name in _CODE or not known or ">" in registered + class_name:
        raise foreign(f"{what}: {label}", class_name, module, config if isinstance(config, str) else registered)
    # Layers are rebuilt wherever they stand, and some read files.
    rebuilt = (is_layer and place != "ops") or place in ("layers", "models")
    if rebuilt and class_name not in (*_LAYERS, *also):
        raise unsupported(f"{what}: {label}", class_name)
    return label


def _place(module: str) -> str:
    """Return which part of Keras a module belongs to: nothing for no module, ``?`` for one that is not Keras'."""
    places = module.split(".")
    if not module:
        return ""
    if places[0] != "keras" or not all(place.isidentifier() and place.isascii() for place in places):
        return "?"
    if len(places) == 1:
        return "keras"
    return places[2] if places[1] == "src" and len(places) > 2 else places[1]
