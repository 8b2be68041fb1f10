"""Takes the pictures of the documentation from the running program: `python -m tools.pictures`.

It starts a sandbox in a temporary folder, runs a sample project in it, drives the workbench and a browser on that
sandbox, and writes docs/images. Nothing of the user's own sandboxes and settings is read or changed.

Runs and logs are real; only their times are replaced by those of a fixed schedule (`fixed_times`), so that pictures
of the same program are the same.
"""
