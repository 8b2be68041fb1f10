"""Statistics of pipelines over their last runs: durations, queue times, outcomes, sizes. They outlive the runs.

`records` makes the record of an ended run, `store` keeps the records of each pipeline, `recorder` writes them while
this process leads, and `trends` says what is slower than before.
"""
