"""Masks secret values, in every encoding they are likely to be printed in."""
