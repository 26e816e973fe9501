"""The command line: a module a command, and how it is shown on a terminal."""
