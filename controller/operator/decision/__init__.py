"""Pure functions that decide what a run needs next, and the data they decide on."""
