"""The results of tests: read from the reports that steps write, stored by attempt, and compared between runs.

Reports are written by steps, so they are untrusted: `compile_report` is run in a process of its own with limits
(`controller.worker`), and what it returns is bounded, masked, and without control characters.
"""
