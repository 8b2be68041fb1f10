"""Containers in their images, by the HTTP API of Docker, which Podman serves too."""
