"""The terminal around the app: clipboard, external programs, ASCII-only output."""
