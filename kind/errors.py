"""What can go wrong on the way to a cluster, each with what to do about it."""

from __future__ import annotations


class KindError(Exception):
    """Something failed: `what` says what was tried and what went wrong, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class ProgramMissingError(KindError):
    """A program that is needed is not on PATH."""


class ProgramFailedError(KindError):
    """A program ended with another code than 0, or did not end in time."""


class PortTakenError(KindError):
    """Another process listens where the cluster was to."""


class ForeignClusterError(KindError):
    """There is a cluster of this name that we did not make. It is never touched."""


class NotReadyError(KindError):
    """What was started did not become ready in time."""


class ManifestError(KindError):
    """A manifest can't be read, or uses a form that is not understood here."""
