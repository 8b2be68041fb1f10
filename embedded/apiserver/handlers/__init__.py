"""Request handlers by verb: write, list, watch, exec, discovery and OpenAPI."""
