"""A real cluster in one command: kind, Docker, the controller's image and its manifests.

It knows nothing of how its progress is drawn, nor where a person's contexts are kept: that is the workbench's.
"""
