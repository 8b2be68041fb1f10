"""The Kubernetes API over HTTP: requests, handlers, media types and timeouts."""
