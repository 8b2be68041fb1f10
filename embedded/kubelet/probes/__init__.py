"""Probes and lifecycle handlers."""
