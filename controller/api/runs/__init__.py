"""Creating and listing runs: validation, numbering, pagination."""
