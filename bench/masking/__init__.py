"""The fuzzer of the mask."""
