"""Containers as process groups."""
