"""Converts workflows of Argo."""
