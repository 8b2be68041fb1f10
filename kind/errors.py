"""Errors of cluster management, each with a remedy."""

from __future__ import annotations


class KindError(Exception):
    """Base class: `message` is what was tried and what went wrong, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class ProgramMissingError(KindError):
    """A required program is not on PATH."""


class ProgramFailedError(KindError):
    """A program exited with another code than 0, or timed out."""


class PortTakenError(KindError):
    """Another process listens on a port of the cluster."""


class ForeignClusterError(KindError):
    """A cluster of this name exists that c8s did not create; it is left unchanged."""


class NotReadyError(KindError):
    """A component did not become ready in time."""


class ManifestError(KindError):
    """A manifest can't be read or applied, or uses an unsupported feature of kustomize."""
