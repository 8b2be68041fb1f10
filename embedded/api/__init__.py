"""Definitions shared by the whole cluster: resource types, field types, selectors, quantities and errors."""
