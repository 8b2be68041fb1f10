"""Commands that write, convert and check pipeline files."""
