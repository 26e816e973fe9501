"""Memory of a process: of a run on disk it does not grow with the number of images, of one in memory by the result."""

import subprocess
import sys

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection

#: Prints the largest resident size in KiB, after a command of ours.
PEAK = """
import resource, sys
from brian_snn.__main__ import main
assert main(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""

#: Simulates one image, then four, and prints the largest resident size in KiB after each.
TWO_PEAKS = """
import resource
import numpy as np
from brian_snn import simulate
from tests.test_memory import wide_network
network, images = wide_network({n_neurons}), np.zeros((4, 4))
for n_images in (1, 4):
    result = simulate(network, images[:n_images], steps=2, projection="shared")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    del result
"""

N_NEURONS = 2000

#: Few images and many: the few fill what is held at a time, of a report a sample of some 100 MB.
NUMBERS = {"verify": (2_200, 8_000), "report": (5_000, 15_000)}


def wide_network(n_neurons=N_NEURONS):
    """Return dense layers of 4, `n_neurons` and 2 neurons."""
    rng = np.random.default_rng(0)

    def dense(source, target, n_in, n_out):
        weights = np.round(rng.normal(size=(n_in, n_out)) * 64) / 64
        return Projection(source, target, Geometry("dense", (n_in,), (n_out,)), weights)

    populations = (
        Population("wide", "spiking", (n_neurons,), np.zeros(n_neurons), 1),
        Population("out", "readout", (2,), np.zeros(2), 2),
    )
    projections = (dense(INPUT, "wide", 4, n_neurons), dense("wide", "out", n_neurons, 2))
    return Network(populations, projections, (4,), grid=2.0**-24)


@pytest.mark.slow
@pytest.mark.parametrize("command", NUMBERS)
def test_verification_and_report_of_many_images_take_as_much_as_of_few(tmp_path, command):
    few, many = NUMBERS[command]
    images, peaks = np.random.default_rng(1).integers(0, 17, (many, 4)) / 16, {}
    for n_images in (few, many):
        folder = tmp_path / f"run_{n_images}"
        simulate(wide_network(), images[:n_images], steps=5, output=folder)
        options = ["--replay", "1", *(["-o", f"{folder}.html"] if command == "report" else [])]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, command, str(folder), *options], capture_output=True, text=True, check=True
        )
        peaks[n_images] = int(done.stderr.split()[-1]) * 1024
    # Counts and potentials of the rest, which are on disk, would take as much.
    growth, rest = peaks[many] - peaks[few], (many - few) * N_NEURONS * 12
    assert growth < rest / 2, (growth, rest)


@pytest.mark.slow
def test_a_result_in_memory_is_there_once_with_one_image_more():
    # So many neurons that every image is a shard of its own: a count in four bytes and a potential in eight.
    n_neurons = 4_000_000
    program = TWO_PEAKS.format(n_neurons=n_neurons)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    one, four = (int(line) * 1024 for line in done.stdout.split())
    # Three images more, the last of them twice while its arrays are put into their places.
    assert four - one < 4.5 * 12 * n_neurons, (one, four)
