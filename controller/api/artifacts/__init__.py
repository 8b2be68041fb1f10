"""Artifacts and saved workspaces in the object store, as the API reads them."""
