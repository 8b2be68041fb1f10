"""What can go wrong with logs, as one family of errors."""


class LogError(Exception):
    """Logs could not be followed or read. The message is fit for a user and holds no log content."""


class LogNotFoundError(LogError):
    """There is no such stream: neither live nor archived."""


class BadArchiveError(LogError):
    """An archived log is not in the form that we write."""


class ContainerNotStartedError(LogError):
    """The container has not started yet; asking again will help."""


class PodGoneError(LogError):
    """The pod is gone, and what was not read of its log with it."""


class StreamBrokenError(LogError):
    """The stream of a container's log broke off or could not be opened; asking again may help."""
