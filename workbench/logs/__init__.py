"""Logs on the reading side: files, viewports and saving. Draws nothing."""
