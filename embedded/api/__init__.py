"""Definitions that every part of the cluster shares: resources, field types, selectors, quantities, errors."""
