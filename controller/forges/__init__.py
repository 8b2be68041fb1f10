"""Tells forges what became of the runs of their events: commit statuses of each forge, sent by the leading operator."""
