"""Images of an engine: references, credentials, pulls."""
