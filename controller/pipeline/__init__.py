"""The pipeline format: reading, checking and interpreting definitions, without I/O and without a clock."""
