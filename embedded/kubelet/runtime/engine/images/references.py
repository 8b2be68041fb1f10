"""References of images: `registry/name:tag@digest`, and what a kubelet makes of them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_REGISTRY = "docker.io"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>[\w][\w.-]{{0,127}}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?"
)
_MAX_LENGTH = 1024


@dataclass(frozen=True)
class ImageReference:
    """An image's name, and its tag or digest."""

    name: str
    """With the registry, if it was given."""
    tag: str
    """Empty if only a digest was given."""
    digest: str

    @classmethod
    def parse(cls, text: str) -> ImageReference | None:
        """None for an invalid reference; without tag and digest, the tag is `latest`."""
        match = _REFERENCE.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            return None
        digest = match["digest"] or ""
        return cls(match["name"], match["tag"] or ("" if digest else "latest"), digest)

    @property
    def registry(self) -> str:
        """The host of the registry."""
        first, slash, _ = self.name.partition("/")
        is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
        return first if is_host else DEFAULT_REGISTRY

    @property
    def version(self) -> str:
        """What to pull: the digest, or else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return self.name + (f"@{self.digest}" if self.digest else f":{self.tag}")


def invalid_message(text: str) -> str:
    """The words of a kubelet for a reference that can't be parsed."""
    return f'Failed to apply default image tag "{text}": couldn\'t parse image name "{text}": invalid reference format'
