"""The graph of steps: dependencies, matrix expansion and order."""
