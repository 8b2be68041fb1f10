"""HTTP concerns of every route: middleware, problem responses, ranges, uploads and downloads."""
