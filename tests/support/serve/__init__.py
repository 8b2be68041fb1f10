"""Pages of `c8s serve` in tests."""
