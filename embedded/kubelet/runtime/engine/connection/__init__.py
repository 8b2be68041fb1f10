"""The engine's HTTP API: where it is, and how it is spoken to."""
