"""What an agent brings to a step and what it stores of it."""
