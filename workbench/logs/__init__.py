"""Logs in the user interfaces: files, search, viewports and saving. It draws nothing."""
