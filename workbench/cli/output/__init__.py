"""The output of commands: styles, runs, diagnostics and summaries."""
