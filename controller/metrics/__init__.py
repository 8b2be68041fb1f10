"""Measurements of the process itself: durations, and how long its event loop is blocked."""
