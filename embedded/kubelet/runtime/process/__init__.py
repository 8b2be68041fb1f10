"""Containers as process groups of this machine; images are not used."""
