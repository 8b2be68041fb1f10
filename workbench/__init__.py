"""The face of c8s: the command line, the terminal app, and the sandboxes they run on."""
