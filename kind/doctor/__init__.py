"""Checks of the host and of its engine for known problems, and repairs."""
