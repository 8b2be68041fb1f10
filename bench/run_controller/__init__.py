"""Measurements of the controller of runs."""
