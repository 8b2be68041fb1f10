"""Defaulting, validation and admission of built-in kinds."""
