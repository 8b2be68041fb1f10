"""What the agent is told, by environment variables; the token only ever by a file."""

# ruff: noqa: PTH100, PTH112, PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import json
import os

from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Settings:
    """Where the API is, who we are, and where the workspace is. The token is in no representation."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.api_url = self.require("C8S_API_URL").rstrip("/")
        self.workspace = os.path.abspath(self.require("C8S_WORKSPACE"))
        self.token = self._token()
        if not self.api_url.startswith(("http://", "https://")):
            raise UsageError("C8S_API_URL is no http:// or https:// address")
        if not os.path.isdir(self.workspace):
            raise UsageError(f"the workspace {self.workspace} is not there")

    def require(self, name: str) -> str:
        """A variable that has to be set."""
        value = self._environment.get(name, "")
        if not value:
            raise UsageError(f"the environment variable {name} is not set")
        return value

    def flag(self, name: str) -> bool:
        """A variable that is 1 or 0."""
        return self._environment.get(name, "0") == "1"

    def comma_list(self, name: str) -> list[str]:
        """A variable that is a list with commas."""
        return [word for word in self._environment.get(name, "").split(",") if word]

    def json_strings(self, name: str) -> list[str]:
        """A variable that is a JSON list of strings."""
        try:
            found = json.loads(self.require(name))
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise UsageError(f"the environment variable {name} is not a JSON list of strings")
        return found

    def caches(self, name: str) -> list[dict[str, Any]]:
        """A variable that is a JSON list of caches, `{"key": …, "paths": […]}`."""
        try:
            found = json.loads(self.require(name))
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(
            isinstance(each, dict) and {"key", "paths"} <= set(each) for each in found
        ):
            raise UsageError(f"the environment variable {name} is not a JSON list of caches")
        return found

    def optional(self, name: str) -> str | None:
        """A variable that may be missing."""
        return self._environment.get(name) or None

    def _token(self) -> str:
        path = self.require("C8S_TOKEN_FILE")
        try:
            with open(path, encoding="ascii") as file:
                token = file.read(16384).strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"the token file {path} can't be read ({type(problem).__name__})") from None
        if not token or not token.isprintable():
            raise UsageError(f"the token file {path} holds no token")
        return token
