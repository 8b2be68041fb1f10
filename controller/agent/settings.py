"""The agent's settings: environment variables, and a file for the token."""

# ruff: noqa: PTH100, PTH112, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import json
import os

from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class AgentSettings:
    """The address of the API, the token and the workspace, checked; other variables are read on request.

    It has no `repr` that would show the token.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.api_url = self.require("C8S_API_URL").rstrip("/")
        self.workspace = os.path.abspath(self.require("C8S_WORKSPACE"))
        self.token = self._token()
        if not self.api_url.startswith(("http://", "https://")):
            raise UsageError("C8S_API_URL is not an http:// or https:// address")
        if not os.path.isdir(self.workspace):
            raise UsageError(f"the workspace {self.workspace} does not exist")

    def require(self, name: str) -> str:
        """The value of a variable that has to be set. Raises UsageError."""
        value = self._environment.get(name, "")
        if not value:
            raise UsageError(f"the environment variable {name} is not set")
        return value

    def flag(self, name: str) -> bool:
        """Whether a variable is `1`."""
        return self._environment.get(name, "0") == "1"

    def comma_list(self, name: str) -> list[str]:
        """The entries of a comma-separated list."""
        return [entry for entry in self._environment.get(name, "").split(",") if entry]

    def json_strings(self, name: str) -> list[str]:
        """The value of a variable that is a JSON list of strings. Raises UsageError."""
        try:
            found = json.loads(self.require(name))
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise UsageError(f"the environment variable {name} is not a JSON list of strings")
        return found

    def globs_by_name(self, name: str) -> dict[str, list[str]]:
        """The value of a variable that is a JSON object of lists of strings. Raises UsageError."""
        try:
            found = json.loads(self.require(name))
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(each, list) for each in found.values()):
            raise UsageError(f"the environment variable {name} is not a JSON object of lists")
        return {key: [str(each) for each in globs] for key, globs in found.items()}

    def caches(self, name: str) -> list[dict[str, Any]]:
        """The value of a variable that is a JSON list of caches, `{"key": …, "paths": […]}`. Raises UsageError."""
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
        """The value of a variable, or None if it is not set or empty."""
        return self._environment.get(name) or None

    def _token(self) -> str:
        path = self.require("C8S_TOKEN_FILE")
        try:
            with open(path, encoding="ascii") as file:
                token = file.read(16384).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token file {path} can't be read ({type(error).__name__})") from None
        if not token or not token.isprintable():
            raise UsageError(f"the token file {path} holds no token")
        return token
