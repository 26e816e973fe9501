"""What the command line shows of a run while it goes on."""

import pytest
from rich.console import Console

from brian_snn.cli.console import Stages


@pytest.mark.parametrize(
    ("n_images", "seconds", "shown"),
    [(100, 0.5, "200 a second"), (2, 7.2, "17 a minute"), (2, 600.0, "12 an hour")],
)
def test_a_run_shows_its_pace_in_a_unit_in_which_it_is_a_number(n_images, seconds, shown):
    console = Console(record=True, width=100, force_terminal=True)
    with Stages(console) as stages:
        stages.simulation("reset: zero", n_images).finish({"compile": 1.0, "run": seconds})
    assert f"{n_images}/{n_images} {seconds:6.1f} s {shown}" in console.export_text()


def test_a_run_that_was_complete_shows_no_time_of_an_earlier_one():
    console = Console(record=True, width=100, force_terminal=True)
    with Stages(console) as stages:
        bars = stages.simulation("reset: zero", 7)
        assert not bars.anything_ran
        bars.finish_complete()
    shown = console.export_text().splitlines()[-1]
    assert "complete already, reset: zero" in shown and shown.rstrip().endswith("7/7    0.0 s")
