"""Random secrets and what a log may have of them, for `masking/fuzz.py`. Shares no code with the mask."""
