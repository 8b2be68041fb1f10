"""The screen of secrets, the dialog that sets one, and the question before a run that lacks some."""
