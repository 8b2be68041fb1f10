"""Servers and payloads in the place of forges."""
