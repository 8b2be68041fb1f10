"""GitHub's API for Apps and check runs: what it is asked is checked against the description that GitHub publishes.

`github_rest.json` has these operations from the npm package `@octokit/openapi`. Stricter than GitHub in one thing: a
field or a parameter that the description does not know is an error.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jsonschema import Draft4Validator, FormatChecker

from tests.support.forges.server import serve_forge

Json = dict[str, Any]
APP_ID, INSTALLATION = "12345", 678


@cache
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def app_key_pem() -> str:
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return app_key().private_bytes(*kinds).decode()


@cache
def description() -> Json:
    found: Json = json.loads(Path(__file__).with_name("github_rest.json").read_text())["paths"]
    return found


@dataclass
class GitHubServer:
    """One repository, `octo/hello`, with the App installed.

    Attributes:
        checks: the check runs, by id.
        history: the status or conclusion of each check run, first to last, by its name.
        problems: what was wrong with requests.
        answers: what the next requests are answered with instead: status and headers.
        calls: the operations that were called.
        after: called after a request was done, before it is answered, with its operation.
    """

    port: int = 0
    is_installed: bool = True
    token_seconds: float = 3600.0
    tokens: dict[str, tuple[float, Json]] = field(default_factory=dict)
    checks: dict[int, Json] = field(default_factory=dict)
    history: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    after: Callable[[str], None] = lambda operation: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Json]:
        """The answer to a request."""
        if self.answers:
            status, more = self.answers.pop(0)
            return status, more, {}
        parts = urlsplit(path)
        operation, variables = find_operation(method, parts.path)
        query, document = dict(parse_qsl(parts.query)), json.loads(body) if body else None
        problem = self._problem(operation, headers, query, document)
        if problem:
            self.problems.append(f"{method} {path}: {problem}")
            return 422, {}, {"message": problem}
        name = str(operation["operationId"])
        self.calls.append(name)
        if (refusal := self._refusal(name, headers)) is not None:
            return refusal
        answer = getattr(self, f"_{name.replace('/', '_').replace('-', '_')}")(variables, query, document)
        self.after(name)
        return answer  # type: ignore[no-any-return]

    def _problem(self, operation: Json, headers: Any, query: dict[str, str], document: Any) -> str:
        if not operation:
            return "there is no such operation"
        if headers.get("Accept") != "application/vnd.github+json" or not headers.get("User-Agent"):
            return "Accept and User-Agent are required"
        if headers.get("X-GitHub-Api-Version") != "2022-11-28":
            return "the version of the API is not given"
        if unknown := set(query) - {each["name"] for each in operation["parameters"] if each["in"] == "query"}:
            return f"unknown parameters: {sorted(unknown)}"
        if operation["body"] is None:
            return "this operation has no body" if document is not None else ""
        if document is None:
            return "a body is required" if operation["required"] else ""
        if headers.get("Content-Type") != "application/json":
            return "Content-Type is required"
        found = Draft4Validator(closed(operation["body"]), format_checker=FormatChecker()).iter_errors(document)
        return "; ".join(f"{error.json_path}: {error.message}" for error in found)

    def _refusal(self, name: str, headers: Any) -> tuple[int, dict[str, str], Json] | None:
        word, _, token = str(headers.get("Authorization") or "").partition(" ")
        if word != "Bearer":
            return 401, {}, {"message": "Requires authentication"}
        if name.startswith("apps/"):
            try:
                claims = jwt.decode(token, app_key().public_key(), algorithms=["RS256"], issuer=APP_ID)
            except jwt.PyJWTError as error:
                return 401, {}, {"message": str(error)}
            is_short = 0 < claims["exp"] - time.time() <= 600
            return None if is_short else (401, {}, {"message": "'Expiration time' claim ('exp') is too far"})
        expires, permissions = self.tokens.get(token, (0.0, {}))
        if expires < time.time():
            return 401, {}, {"message": "Bad credentials"}
        if permissions.get("checks") != "write":
            return 403, {}, {"message": "Resource not accessible by integration"}
        return None

    def _apps_get_repo_installation(self, variables: Json, query: Json, document: Any) -> tuple[int, Json, Json]:
        return (200, {}, {"id": INSTALLATION}) if self.is_installed else (404, {}, {"message": "Not Found"})

    def _apps_create_installation_access_token(
        self, variables: Json, query: Json, document: Json
    ) -> tuple[int, Json, Json]:
        if int(variables["installation_id"]) != INSTALLATION or not self.is_installed:
            return 404, {}, {"message": "Not Found"}
        if document["repositories"] != ["hello"]:
            return 422, {}, {"message": "There is at least one repository that does not exist or is not accessible"}
        permissions = document["permissions"]
        # The number tells those with the same permissions apart.
        number = sum(1 for _, others in self.tokens.values() if others == permissions)
        token, expires = f"ghs_{'_'.join(permissions)}_{number}", time.time() + self.token_seconds
        self.tokens[token] = expires, permissions
        moment = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {}, {"token": token, "expires_at": moment, "permissions": document["permissions"]}

    def _checks_create(self, variables: Json, query: Json, document: Json) -> tuple[int, Json, Json]:
        check = len(self.checks) + 1
        self.checks[check] = {"id": check, "annotations": []}
        return 201, {}, self._change(check, document)

    def _checks_update(self, variables: Json, query: Json, document: Json) -> tuple[int, Json, Json]:
        check = int(variables["check_run_id"])
        return (200, {}, self._change(check, document)) if check in self.checks else (404, {}, {})

    def _checks_list_for_ref(self, variables: Json, query: Json, document: Any) -> tuple[int, Json, Json]:
        found = [
            self._shown(each)
            for each in self.checks.values()
            if each["name"] == query.get("check_name", each["name"]) and each["head_sha"] == variables["ref"]
        ]
        return 200, {}, {"total_count": len(found), "check_runs": found}

    def _change(self, check: int, document: Json) -> Json:
        known = self.checks[check]
        output = dict(document.get("output") or {})
        known["annotations"] += output.pop("annotations", [])
        known |= {**document, "output": output}
        self.history.setdefault(known["name"], []).append(document.get("conclusion") or document["status"])
        return self._shown(known)

    def _shown(self, check: Json) -> Json:
        output = {**check["output"], "annotations_count": len(check["annotations"])}
        return {**{name: value for name, value in check.items() if name != "annotations"}, "output": output}


def find_operation(method: str, path: str) -> tuple[Json, dict[str, str]]:
    """The operation of a request, and the variables in its path; empty if there is none."""
    for template, operations in description().items():
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        found = re.fullmatch(pattern, path)
        if found is not None and method.lower() in operations:
            return operations[method.lower()], found.groupdict()
    return {}, {}


def closed(schema: Any) -> Any:
    """The schema, without fields that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "oneOf" not in schema and "anyOf" not in schema:
        found.setdefault("additionalProperties", False)
    return found


@contextmanager
def github_server() -> Iterator[GitHubServer]:
    """A running GitHub."""
    found = GitHubServer()
    with serve_forge(found.handle) as port:
        found.port = port
        yield found
