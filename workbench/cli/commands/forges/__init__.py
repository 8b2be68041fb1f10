"""Commands about the events of forges."""
