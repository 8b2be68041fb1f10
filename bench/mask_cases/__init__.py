"""Random secrets and what a log may have of them, for `mask_fuzz.py`. Shares no code with the mask."""
