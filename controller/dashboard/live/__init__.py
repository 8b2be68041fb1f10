"""Streams of server-sent events that keep pages current: the pieces of a run's page, and the lines of a log."""
