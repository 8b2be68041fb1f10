"""The object store against a real S3 server."""
