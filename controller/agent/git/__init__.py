"""Clones the repository of a run, and reads its pipeline there."""
