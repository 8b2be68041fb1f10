"""The side effects of the operator: executing actions, writing status, events and retention."""
