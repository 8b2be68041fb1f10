"""The commands: parse arguments, call, print, exit. What to say of a run is decided in `workbench`."""
