"""The pipeline editor and its lists."""
