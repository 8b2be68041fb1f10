"""Contexts and preferences of the user."""
