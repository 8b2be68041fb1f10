"""Finds the first failure in a log and the source location it names."""
