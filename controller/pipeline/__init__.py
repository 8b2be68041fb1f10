"""The pipeline format: what a file may say and what it means. Pure: no network, no clock, no files."""
