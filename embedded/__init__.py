"""A single-process Kubernetes: the API over SQLite, and pods as groups of host processes.

It knows nothing of c8s and would serve any controller.
"""
