"""The error of settings."""


class SettingsError(Exception):
    """A setting is invalid; the message names it and says what to do."""
