"""The controller image, built from wheels."""
