"""Errors between an API process and the leader."""


class LogRelayError(Exception):
    """The leader's live logs are not available. The message holds no log content and no key."""


class NoLeaderError(LogRelayError):
    """There is no leader, or its address is unknown."""


class RelayProtocolError(LogRelayError):
    """The leader sent a message that is malformed or out of order."""
