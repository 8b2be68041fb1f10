"""Errors of following and reading logs."""


class LogError(Exception):
    """Logs could not be followed or read. The message is fit for users and holds no log content."""


class LogNotFoundError(LogError):
    """The stream does not exist: it is neither live nor archived."""


class BadArchiveError(LogError):
    """An archived log is malformed."""


class ContainerNotStartedError(LogError):
    """The container has not started yet; a later attempt may succeed."""


class PodGoneError(LogError):
    """The pod no longer exists, and the unread rest of its log is lost."""


class StreamBrokenError(LogError):
    """The stream of a container's log could not be opened, or broke; a later attempt may succeed."""
