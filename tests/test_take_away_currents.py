"""Input currents in the C++ of a program to take away, against exact fractions and against those of `simulate`."""

import subprocess
from importlib import resources

import numpy as np
import pytest

from brian_snn.backends.model_file import write_model
from brian_snn.network.network import Network
from brian_snn.network.parameters import input_currents
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job
from tests.small_network import GRID, exact_current, projection_matrix, to_grid
from tests.test_linear_maps import GEOMETRIES

pytestmark = pytest.mark.slow

#: Reads a model and images, and writes the currents of the images one behind the other.
HARNESS = """
#include "take_away.h"
#include <iostream>
int main(int argc, char** argv) {
    for (int k = 1; k < argc; k++) {
        const std::string folder = std::string(argv[k]) + "/";
        const take_away::Model model(folder);
        take_away::Numbers images(folder + "images.npy");
        take_away::Currents currents(model);
        std::vector<double> pixels(take_away::elements(model.image));
        std::ofstream file(folder + "currents.bin", std::ios::binary);
        for (int64_t image = 0; image < images.shape[0]; image++) {
            images.read(image * int64_t(pixels.size()), int64_t(pixels.size()), pixels.data());
            currents.show(pixels);
            for (const auto& bias : model.bias) {
                const std::vector<double>& z = currents.of(bias.first);
                file.write(reinterpret_cast<const char*>(z.data()), z.size() * sizeof(double));
            }
        }
    }
}
"""

#: What images are multiplied with: of the last ones an image is split into more parts than two.
SCALES = (1.0, 255.0, 1e-7, 3e5)


def random_map(rng, geometry, target, n_pixels, n_neurons, rerouted):
    """Return a map from the image with weights on the grid; rerouted: shuffled, with zeros and spare neurons."""
    weights = to_grid(rng.normal(size=geometry.weights_shape) * 10.0 ** rng.integers(-3, 1))
    if not rerouted:
        return Projection(INPUT, target, geometry, weights)
    source = rng.permutation(n_pixels)[: geometry.n_in].astype(np.int32)
    source[rng.uniform(size=geometry.n_in) < 0.2] = -1
    return Projection(INPUT, target, geometry, weights, source, rng.permutation(n_neurons)[: geometry.n_out])


def random_network(rng, first, second):
    """Return a network in which the image feeds two populations, the first of them through two maps."""
    n_pixels = max(first.n_in, second.n_in) + 7
    sizes = {"a": max(first.n_out, second.n_out) + 3, "b": first.n_out, "out": 2}
    maps = [
        random_map(rng, first, "a", n_pixels, sizes["a"], False),
        random_map(rng, second, "a", n_pixels, sizes["a"], True),
        random_map(rng, first, "b", n_pixels, sizes["b"], rng.uniform() < 0.5),
    ]
    out = Projection("a", "out", Geometry("dense", (sizes["a"],), (2,)), to_grid(rng.normal(size=(sizes["a"], 2))))
    shapes = {name: ("readout" if name == "out" else "spiking", (n,)) for name, n in sizes.items()}
    populations = tuple(
        Population(name, kind, shape, to_grid(rng.normal(size=shape)), 2 if kind == "readout" else 1)
        for name, (kind, shape) in shapes.items()
    )
    return Network(populations, (*maps, out), (n_pixels,), grid=GRID)


def exact_currents(network, image):
    """Return the currents of one image from fractions."""
    found = {}
    for name in ("a", "b"):
        population, n_pixels = network[name], network.input_shape[0]
        maps = [p for p in network.into(name) if p.source is INPUT]
        matrix = sum(projection_matrix(p, p.weights, n_pixels, population.size) for p in maps)
        found[name] = exact_current(matrix, population.bias, image[None])[0]
    return found


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """Return a program that computes nothing but currents."""
    folder = tmp_path_factory.mktemp("harness")
    for source in (resources.files("brian_snn.backends") / "program").iterdir():
        if source.name in ("take_away.h", "files.cpp", "currents.cpp"):
            (folder / source.name).write_bytes(source.read_bytes())
    (folder / "main.cpp").write_text(HARNESS)
    command = ["g++", "-std=c++11", "-ffp-contract=off", "main.cpp", "files.cpp", "currents.cpp", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "main"


def test_currents_of_any_map_are_exact(harness, tmp_path):
    kinds = [geometry for geometry in GEOMETRIES.values() if geometry.kind != "max_pool"]
    rng = np.random.default_rng(4)
    networks = [random_network(rng, first, kinds[int(rng.integers(len(kinds)))]) for first in kinds]
    images = [
        np.array([scale * rng.normal(size=n.input_shape) * (rng.uniform(size=n.input_shape) < 0.7) for scale in SCALES])
        for n in networks
    ]
    jobs = [make_job(network, Settings(steps=1), Recording()) for network in networks]
    folders = [tmp_path / str(k) for k in range(len(networks))]
    for job, shown, folder in zip(jobs, images, folders, strict=True):
        folder.mkdir()
        write_model(folder, job)
        np.save(folder / "images.npy", shown)
    subprocess.run([harness, *folders], check=True)
    for k, (job, shown, folder) in enumerate(zip(jobs, images, folders, strict=True)):
        expected = input_currents(job.parameters, shown)
        found = np.fromfile(folder / "currents.bin").reshape(len(SCALES), -1)
        assert np.array_equal(found, np.concatenate([expected["a"], expected["b"]], axis=1)), k
        # Fractions take their time: one image of each, and none of the last scale, where float64 has few digits left
        # behind the grid and rounds twice.
        image = k % (len(SCALES) - 1)
        exact = exact_currents(networks[k], shown[image])
        assert np.array_equal(found[image], np.concatenate([exact["a"], exact["b"]])), k
