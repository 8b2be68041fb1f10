"""Routes of one run: its logs, artifacts, tests, breakpoints, and shells in its steps."""
