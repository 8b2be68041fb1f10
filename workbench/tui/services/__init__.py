"""Between screens and the controller: connection, feeds and launches."""
