"""The command line: parses arguments, calls the other packages, prints, and sets exit codes."""
