"""Models that PyTorch exported, by both exporters (tests/data/make_onnx_models.py), and one that Keras did."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import brian_snn
from brian_snn.cli.main import main
from brian_snn.conversion.fold import fold
from brian_snn.frontends.table import convertible, front_end_of, load_model, reference_activations, scores_of
from brian_snn.network.forward import forward

FILES = sorted((Path(__file__).parent / "data" / "onnx").glob("*.onnx"))

#: Populations of each model, those of its blocks of neurons that are left when all that is linear is folded.
SIZES = {
    "cnn": 6,
    "densenet": 11,
    "keras": 6,
    "mlp": 3,
    "mobilenet": 10,
    "resnet": 20,
    "series": 7,
    "shuffle": 4,
    "vgg": 8,
}


def images_for(path, n_images=3):
    shape = onnxruntime.InferenceSession(path).get_inputs()[0].shape[1:]
    return np.random.default_rng(0).uniform(0, 1, (n_images, *shape)).astype(np.float32)


def tensors(path, images, names):
    """Return what onnxruntime computes for tensors."""
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: images}), strict=True))


def test_both_exporters_wrote_every_model():
    exported = [path for path in FILES if path.stem != "keras"]
    names = {name for name in SIZES if name != "keras"}
    assert {path.stem for path in exported} == {f"{name}_{exporter}" for name in names for exporter in ("old", "new")}
    versions = {path.stem.split("_")[1]: onnx.load(path).opset_import[0].version for path in exported}
    assert versions["old"] == 11
    assert versions["new"] > 17


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_population_is_what_onnxruntime_computes(path):
    model, images = load_model(path), images_for(path)
    network = fold(convertible(front_end_of(model).read(model)))
    assert len(network.populations) == SIZES[path.stem.split("_")[0]]
    # The two exporters write different graphs of one model, which have the same neurons.
    made_by = {node.name or node.output[0]: node.output[0] for node in model.graph.node}
    references = {p.name: made_by[p.reference[-1].names[-1]] for p in network.populations if p.reference}
    expected = tensors(path, images, sorted(set(references.values())))
    found = forward(network, images)
    assert references
    for name, tensor in references.items():
        values = expected[tensor]
        # Channels last, unless it is flat already.
        values = np.moveaxis(values, 1, -1).reshape(found[name].shape)
        if network[name].kind != "readout":
            values = np.clip(values, 0, network[name].ceiling)
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5 * np.abs(values).max())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_population_agrees_with_its_reference(path):
    errors = brian_snn_errors(path)
    assert max(errors.values()) < 1e-12


def brian_snn_errors(path):
    from brian_snn.conversion.check import check_against_reference

    model = load_model(path)
    network = fold(convertible(front_end_of(model).read(model)))
    return check_against_reference(model, network, images_for(path))


@pytest.mark.parametrize("name", ["vgg", "resnet"])
def test_the_references_of_both_precisions_agree(name):
    path = next(path for path in FILES if path.stem == f"{name}_new")
    images = images_for(path)
    model = load_model(path)
    network = brian_snn.convert(model, images)
    own = reference_activations(model, network, images)
    exact = reference_activations(model, network, images, dtype="float64")
    for population, values in own.items():
        np.testing.assert_allclose(values, exact[population], rtol=0, atol=1e-5 * np.abs(values).max())
    (expected,) = tensors(path, images, [model.graph.output[0].name]).values()
    assert np.array_equal(scores_of(model, images), expected.astype(np.float64))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tolerance"), [("mlp_old", 0.02), ("cnn_new", 0.04)])
def test_the_simulation_comes_to_what_the_model_says(name, tolerance):
    path = next(path for path in FILES if path.stem == name)
    images = images_for(path, 6)
    network = brian_snn.convert(path, images)
    result = brian_snn.simulate(network, images, steps=500, backend="runtime")
    model = onnx.load(path)
    last = next(node for node in reversed(model.graph.node) if "Softmax" in node.op_type)
    (logits,) = tensors(path, images, [last.input[0]]).values()
    # A rate is known to one spike in 500 for each of the layers that the logits depend on, and settles while they do.
    np.testing.assert_allclose(
        result.logits * network.output.scale, logits, rtol=0, atol=tolerance * np.abs(logits).max()
    )
    assert brian_snn.verify(result)["holds"].all()


def test_the_command_line_converts_a_file(tmp_path, capsys):
    path = next(path for path in FILES if path.stem == "vgg_old")
    images = images_for(path, 5)
    np.savez(tmp_path / "images.npz", x_norm=images)
    target = tmp_path / "network.npz"
    assert main(["convert", str(path), "--data", str(tmp_path / "images.npz"), "-o", str(target)]) == 0
    network = brian_snn.load_network(target)
    assert network.input_shape == (3, 32, 32)
    assert network.provenance["onnx"] == onnx.__version__
    assert "/features/features.0/Conv" in capsys.readouterr().out


def test_a_part_of_a_model_by_the_name_of_a_node():
    path = next(path for path in FILES if path.stem == "vgg_old")
    network = brian_snn.convert(path, images_for(path), until="/features/features.4/Conv")
    assert [p.name for p in network.populations][-1] == "/features/features.4/Conv"
    assert len(network.populations) == 3
