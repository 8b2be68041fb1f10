"""Server-sent events of runs and log frames on WebSockets."""
