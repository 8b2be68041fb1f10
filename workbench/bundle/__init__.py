"""Runs as files: written from a controller, and opened without one (docs/sharing.md describes the format)."""
