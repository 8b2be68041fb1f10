"""Runs that the command line follows: signals, logs and exit codes."""
