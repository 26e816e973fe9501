"""Write small NIR files with the frameworks themselves, run their networks, and run files of ours in them.

    python make_files.py OURS FOLDER FRAMEWORK ...

in an environment with torch, nir, nirtorch and the frameworks: with nir 1.0.8, of which spikingjelly and snntorch know,
or with nir 1.0.4 and nirtorch 1.0, with which sinabs and norse work; `make_all.py` makes both. OURS is the folder with
the files of ``python -m tests.nir_files OURS``. Every run is an .npz with ``images`` (channels first) and ``spikes/K``,
(n_images, steps, *shape), of the K-th layer of neurons.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import torch
from torch import nn

STEPS = 40


def images() -> torch.Tensor:
    """Return images whose pixels are multiples of 1/16."""
    return torch.as_tensor(np.random.default_rng(1).integers(0, 17, (3, 1, 8, 8)) / 16, dtype=torch.float32)


def rounded(model: nn.Module) -> nn.Module:
    """Return a model with weights that are multiples of 2**-6, so that all sums are exact in float32."""
    generator = torch.Generator().manual_seed(5)
    for weights in model.parameters():
        with torch.no_grad():
            fan_in = max(1, weights[0].numel()) if weights.ndim > 1 else 8
            drawn = torch.randn(weights.shape, generator=generator) * 1.5 / fan_in**0.5 + 0.1 * (weights.ndim > 1)
            weights.copy_(torch.round(drawn * 64) / 64)
    return model.eval()


def network(neurons: Callable[[], nn.Module], pool: nn.Module | None = None) -> nn.Sequential:
    """Return a CNN with three layers of neurons."""
    return rounded(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            neurons(),
            nn.AvgPool2d(2) if pool is None else pool,
            nn.Conv2d(4, 6, 3, stride=2),
            neurons(),
            nn.Flatten(),
            nn.Linear(6, 5),
            neurons(),
        )
    )


def vectors() -> torch.Tensor:
    """Return what is shown to dense layers, multiples of 1/16."""
    return torch.as_tensor(np.random.default_rng(1).integers(0, 17, (3, 16)) / 16, dtype=torch.float32)


def dense(neurons: Callable[[int], nn.Module]) -> list[nn.Module]:
    """Return three dense layers and their neurons, for exporters that know no pooling."""
    sizes = (16, 24, 12, 5)
    layers = [[nn.Linear(n, m), neurons(m)] for n, m in pairwise(sizes)]
    return list(rounded(nn.Sequential(*(module for layer in layers for module in layer))))


def run(model: nn.Module, is_neuron: Callable[[nn.Module], bool], shown: torch.Tensor) -> dict[str, np.ndarray]:
    """Run a network step by step and return the spikes of its neurons."""
    kept: list[list[np.ndarray]] = []
    modules = [module for module in model.modules() if is_neuron(module)]
    for k, module in enumerate(modules):
        kept.append([])
        module.register_forward_hook(lambda _, __, out, k=k: kept[k].append(_spikes(out)))
    state = None
    with torch.inference_mode():
        for _ in range(STEPS):
            out = model(shown) if state is None else model(shown, state)
            # Some hand their state out and take it back.
            state = out[1] if isinstance(out, tuple) else None
    batch = shown.ndim in (2, 4)
    return {f"spikes/{k}": np.stack(steps, axis=int(batch)) for k, steps in enumerate(kept)}


def run_one_by_one(load: Callable[[], nn.Module], is_neuron: Callable[[nn.Module], bool]) -> dict[str, np.ndarray]:
    """Run a network that flattens the batch too, one image at a time without a batch."""
    runs = [run(load(), is_neuron, image) for image in images()]
    return {name: np.stack([spikes[name] for spikes in runs]) for name in runs[0]}


def _spikes(out: torch.Tensor | tuple) -> np.ndarray:
    spikes = out[0] if isinstance(out, tuple) else out
    return np.rint(spikes.detach().numpy()).astype(np.uint8)


def write(path: Path, graph: nir.NIRGraph) -> None:
    """Write a file as nir does, its arrays compressed, which are large and all alike."""
    nir.write(path, graph)
    with h5py.File(path) as source, h5py.File(path.with_suffix(".small"), "w", libver=("earliest", "v110")) as target:

        def copy(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                large = {"compression": "gzip"} if item.size > 64 else {}
                target.create_dataset(name, data=item[()], dtype=item.dtype, **large)

        source.visititems(copy)
    path.with_suffix(".small").replace(path)


def save(folder: Path, name: str, spikes: dict[str, np.ndarray], package: str, shown: torch.Tensor) -> None:
    """Write a run."""
    versions = json.dumps({package: version(package), "nir": version("nir")})
    np.savez_compressed(folder / f"{name}.npz", images=shown.numpy(), versions=np.array(versions), **spikes)
    print(name, {key: (values.shape, int(values.sum())) for key, values in spikes.items()})


def of_spikingjelly(ours: Path, folder: Path) -> None:
    """spikingjelly: hard and soft reset, with and without a leak."""
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

    kinds = {
        "if_zero": lambda: neuron.IFNode(v_reset=0.0),
        "if_soft": lambda: neuron.IFNode(v_reset=None),
        "lif_zero": lambda: neuron.LIFNode(tau=4.0, decay_input=False, v_reset=0.0),
    }
    for name, make in kinds.items():
        model, shown = network(make), images()
        functional.reset_net(model)
        spikes = run(model, lambda m: isinstance(m, neuron.BaseNode), shown)
        functional.reset_net(model)
        save(folder, f"spikingjelly_{name}", spikes, "spikingjelly", shown)
        try:
            graph = export_to_nir(model, shown[:1], dt=1e-4)
            write(folder / f"spikingjelly_{name}.nir", graph)
        except Exception as error:
            print("spikingjelly", name, "cannot export:", repr(error)[:200])
    for reset in ("zero", "subtraction"):
        model = import_from_nir(nir.read(ours / f"cnn_{reset}_1e4.nir"), dt=1e-4)
        for module in model.modules():
            if isinstance(module, neuron.BaseNode):
                module.v_reset = None if reset == "subtraction" else 0.0
        functional.reset_net(model)
        spikes = run(model, lambda m: type(m).__name__ == "_NIRStatefulModule", images())
        save(folder, f"ours_in_spikingjelly_{reset}", spikes, "spikingjelly", images())


def of_sinabs(ours: Path, folder: Path) -> None:
    """sinabs: at most one spike a step, with either reset."""
    import sinabs.layers as sl
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
    from sinabs.nir import from_nir, to_nir

    resets = {"subtraction": MembraneSubtract, "zero": MembraneReset}
    shown = images()
    for name, make_reset in resets.items():
        options = {"spike_fn": SingleSpike, "reset_fn": make_reset(), "min_v_mem": None, "batch_size": len(shown)}
        model = network(partial(sl.IAFSqueeze, **options), sl.SumPool2d(2))
        spikes = run(model, lambda m: isinstance(m, sl.IAFSqueeze), shown)
        save(folder, f"sinabs_{name}", spikes, "sinabs", shown)
        if name == "subtraction":
            graph = to_nir(model, shown)
            for node in graph.nodes.values():
                if getattr(node, "input_shape", ()) is None:
                    # Which it leaves out, and nir cannot write.
                    node.input_shape = (8, 8) if node.weight.shape[1] == 1 else (4, 4)
                if isinstance(node, nir.Flatten) and node.input_type.get("input") is None:
                    node.input_type = {"input": np.array([6, 1, 1])}
            write(folder / "sinabs.nir", graph)
        # A file of ours, read and set to what it means; nir 1.0.4 knows no v_reset.
        model = from_nir(nir.read(ours / "cnn_subtraction.nir"), batch_size=len(shown))
        for module in model.modules():
            if isinstance(module, sl.IAFSqueeze):
                module.spike_fn, module.reset_fn, module.min_v_mem = SingleSpike, make_reset(), None
        spikes = run(model, lambda m: isinstance(m, sl.IAFSqueeze), shown)
        save(folder, f"ours_in_sinabs_{name}", spikes, "sinabs", shown)


def of_snntorch(ours: Path, folder: Path) -> None:
    """snntorch: reset to zero, with and without a leak."""
    import snntorch
    from snntorch.export_nir import export_to_nir
    from snntorch.import_nir import import_from_nir

    shown = vectors()
    for name, beta in {"lif_zero": 0.75, "if_zero": 1.0}.items():

        def neurons(n: int, beta: float = beta) -> nn.Module:
            # Of one number for a layer it writes arrays without axes, which nir cannot write.
            options = {"threshold": torch.ones(n), "reset_mechanism": "zero", "init_hidden": True}
            return snntorch.Leaky(beta=torch.full((n,), beta), **options)

        model = nn.Sequential(*dense(neurons))
        write(folder / f"snntorch_{name}.nir", export_to_nir(model, shown[0]))
        spikes = run(model, lambda m: isinstance(m, snntorch.Leaky), shown)
        save(folder, f"snntorch_{name}", spikes, "snntorch", shown)

    def loaded() -> nn.Module:
        model = import_from_nir(nir.read(ours / "cnn_subtraction.nir"))
        for module in model.modules():
            if isinstance(module, snntorch.Leaky):
                # An IF neuron comes back with a leak of a tenth, hands out its potential, and withholds spikes.
                module.beta, module.init_hidden, module.reset_delay = torch.ones(()), True, True
            if isinstance(module, nn.Conv2d):
                # torch takes no numbers of NumPy.
                module.groups = int(module.groups)
                for name in ("stride", "padding", "dilation"):
                    setattr(module, name, tuple(int(n) for n in getattr(module, name)))
        return model

    spikes = run_one_by_one(loaded, lambda m: isinstance(m, snntorch.Leaky))
    save(folder, "ours_in_snntorch_subtraction", spikes, "snntorch", images())


def of_norse(ours: Path, folder: Path) -> None:
    """norse: reset to zero, with and without a leak."""
    import norse.torch as norse
    from norse.torch.utils.export_nir import to_nir
    from norse.torch.utils.import_nir import from_nir

    quarter = torch.tensor(0.25)
    leaky = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(250.0), v_leak=torch.tensor(0.0), v_th=quarter)
    kinds = {"if_zero": lambda n: norse.IAFCell(), "lif_zero": lambda n: norse.LIFBoxCell(p=leaky)}
    shown = vectors()
    for name, neurons in kinds.items():
        model = norse.SequentialState(*dense(neurons))
        write(folder / f"norse_{name}.nir", to_nir(model, shown[:1]))
        spikes = run(model, lambda m: isinstance(m, (norse.IAFCell, norse.LIFBoxCell)), shown)
        save(folder, f"norse_{name}", spikes, "norse", shown)
    # nir 1.0.4 knows no v_reset, but norse resets to zero whatever the file says.
    graph = nir.read(ours / "cnn_subtraction.nir")
    spikes = run_one_by_one(lambda: from_nir(graph, dt=1.0), lambda m: isinstance(m, norse.IAFCell))
    save(folder, "ours_in_norse_zero", spikes, "norse", images())


if __name__ == "__main__":
    MAKERS = {"spikingjelly": of_spikingjelly, "sinabs": of_sinabs, "snntorch": of_snntorch, "norse": of_norse}
    for framework in sys.argv[3:]:
        MAKERS[framework](Path(sys.argv[1]), Path(sys.argv[2]))
