"""Tar archives of a step: packing, unpacking and the temporary files in between."""
