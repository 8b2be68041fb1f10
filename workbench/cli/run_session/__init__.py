"""Following a run from the command line: signals, logs and the exit code."""
