"""YAML with source positions."""
