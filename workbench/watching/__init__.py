"""Runs after each save: what has changed in a working tree, when it is quiet, and what follows from it."""
