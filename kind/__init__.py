"""A kind cluster with the controller in one command: kind, Docker, the image and the manifests.

The workbench shows the progress and stores the contexts of the user.
"""
