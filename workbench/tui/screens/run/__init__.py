"""The screen of a run, its actions, and the results of its tests."""
