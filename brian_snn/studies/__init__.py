"""What a figure measures: a module each, small enough for a laptop or as large as the experiment of the same name."""
