"""Creating and listing runs: validation, pagination."""
