"""The report of a run as one HTML page: gather what a run folder says, lay it out in blocks, render them."""
