"""Reports on a run: durations, timeline, comparison and cluster health."""
