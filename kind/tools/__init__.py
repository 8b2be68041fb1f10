"""Calls of the kind and docker command-line programs."""
