"""What the pods of attempts and their agents tell."""
