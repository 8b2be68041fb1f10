"""The list of a run's artifacts, their preview, and saving and opening them."""
