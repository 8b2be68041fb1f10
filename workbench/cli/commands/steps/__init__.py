"""Commands on the steps of a run."""
