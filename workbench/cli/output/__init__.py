"""What commands print: styles, runs, diagnostics and summaries."""
