"""How the agent fails: with a sentence for the step's log and an exit code."""


class AgentError(Exception):
    """The work can't be done; the message says what was tried, on what, what went wrong and what to do."""

    exit_code = 1


class UsageError(AgentError):
    """The agent was started wrongly: a mistake of ours, not of the pipeline's."""

    exit_code = 2


class RequestRejectedError(AgentError):
    """The API or the store has said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NetworkError(AgentError):
    """No answer, or one that may be better next time."""


def printable(name: str) -> str:
    """A name that someone else chose, fit for a message: one line, printable, not endless."""
    text = name.encode("utf-8", "replace").decode("utf-8", "replace")
    text = "".join(each if each.isprintable() else "\ufffd" for each in text)
    return text if len(text) <= 200 else f"{text[:200]}…"
