"""Errors of the agent: a sentence for the log of the step, and an exit code."""


class AgentError(Exception):
    """Base class; the message says what was tried, on what, what went wrong and what to do."""

    exit_code = 1


class UsageError(AgentError):
    """Wrong arguments or environment: an error of the operator, not of the pipeline."""

    exit_code = 2


class FetchError(AgentError):
    """What the step needs could not be fetched: its commands do not begin."""

    exit_code = 3


class NotHeldError(AgentError):
    """The step does not wait to be continued."""

    exit_code = 4


class RequestRejectedError(AgentError):
    """The API or the object store rejected the request."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NetworkError(AgentError):
    """No response, or one that a retry may change."""


def printable(name: str) -> str:
    """An untrusted name for a message: one line, printable, at most 200 characters."""
    text = name.encode("utf-8", "replace").decode("utf-8", "replace")
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= 200 else f"{text[:200]}…"
