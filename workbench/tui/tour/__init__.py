"""The workbench with hints that lead through a small project."""
