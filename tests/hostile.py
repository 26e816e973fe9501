"""Model files as a stranger might make them: a good one, with something in it changed."""

import json
import zipfile

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def read_parts(path):
    """Return the members of a .keras file by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(path, parts, method=zipfile.ZIP_STORED):
    """Write members as a zip file; a list of pairs may hold a name twice."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            archive.writestr(name, content)


def change_config(path, change):
    """Change the configuration of a .keras or .h5 file in place; `change` edits it, or returns another one."""
    if path.suffix == ".keras":
        parts = read_parts(path)
        config = json.loads(parts[CONFIG])
        changed = change(config)
        parts[CONFIG] = json.dumps(config if changed is None else changed).encode()
        write_parts(path, parts)
        return
    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        changed = change(config)
        file.attrs["model_config"] = json.dumps(config if changed is None else changed)


def change_weights(path, change, folder):
    """Let `change` edit the open HDF5 file of weights of a .keras file, or the .h5 file itself, in place."""
    import h5py

    inner = path
    if path.suffix == ".keras":
        parts = read_parts(path)
        inner = folder / "inner.h5"
        inner.write_bytes(parts[WEIGHTS])
    with h5py.File(inner, "r+") as file:
        change(file)
    if path.suffix == ".keras":
        write_parts(path, parts | {WEIGHTS: inner.read_bytes()})


def first_array(file):
    """Return the group and the name of the first array in an open HDF5 file."""
    import h5py

    found = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found[0].parent, found[0].name.split("/")[-1]
