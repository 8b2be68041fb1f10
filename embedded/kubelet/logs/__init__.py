"""Container logs: their files, the writer and the reader."""
