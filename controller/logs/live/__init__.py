"""Logs of running steps in memory: the hub and its ring buffers."""
