"""Archived logs in the object store: writer, reader, chunks and summaries."""
