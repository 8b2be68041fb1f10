"""What can go wrong between an API and the leader, as one family of errors."""


class LogRelayError(Exception):
    """The leader's live logs can't be had right now. The message holds no log content and no key."""


class NoLeaderError(LogRelayError):
    """Nobody leads, or the leader has told no address."""


class RelayProtocolError(LogRelayError):
    """What came is not in our form, or does not follow what came before."""
