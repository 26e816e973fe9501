"""From a topology to a program: Brian2 objects, compiled (`standalone`) or in process (`runtime`), and kept builds."""
