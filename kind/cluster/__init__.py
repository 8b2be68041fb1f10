"""Creating, stopping and deleting kind clusters."""
