"""From a working tree to a run: packing and submission."""
