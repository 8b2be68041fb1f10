"""Containers of pods: what they are made of, and how they run."""
