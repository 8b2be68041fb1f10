"""Building the controller image from wheels."""
