"""Tables for kubectl."""
