"""What ``brian-snn figure NAME`` draws: one module per figure, each with a run small enough for a laptop.

A module measures with the functions that the experiment of the same name uses on a larger scale, so that the command
and the script in ``figures/`` draw the same thing from more or fewer numbers. `registry` lists them all.
"""
