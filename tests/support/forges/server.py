"""A forge's API for commit statuses: it checks method, path, headers and body as the forges document them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.support.waiting import LONGEST

Json = dict[str, Any]

TOKEN = "token-of-the-forge"


@dataclass(frozen=True)
class _Rules:
    """Of one forge: the path, the header with the token, and the fields with what they may be."""

    path: str
    header: tuple[str, str]
    states: frozenset[str]
    context: str
    required: frozenset[str]
    optional: frozenset[str]


_RULES = {
    "github": _Rules(
        r"/repos/octo/hello/statuses/([0-9a-f]{40})",
        ("Authorization", f"Bearer {TOKEN}"),
        frozenset({"error", "failure", "pending", "success"}),
        "context",
        frozenset({"state"}),
        frozenset({"target_url", "description", "context"}),
    ),
    "gitea": _Rules(
        r"/api/v1/repos/octo/hello/statuses/([0-9a-f]{40})",
        ("Authorization", f"token {TOKEN}"),
        frozenset({"pending", "success", "error", "failure", "warning"}),
        "context",
        frozenset({"state"}),
        frozenset({"target_url", "description", "context"}),
    ),
    "gitlab": _Rules(
        r"/api/v4/projects/octo%2Fhello/statuses/([0-9a-f]{40})",
        ("PRIVATE-TOKEN", TOKEN),
        frozenset({"pending", "running", "success", "failed", "canceled", "skipped"}),
        "name",
        frozenset({"state"}),
        frozenset({"ref", "name", "target_url", "description", "coverage", "pipeline_id"}),
    ),
    "bitbucket": _Rules(
        r"/2\.0/repositories/octo/hello/commit/([0-9a-f]{40})/statuses/build",
        ("Authorization", f"Bearer {TOKEN}"),
        frozenset({"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"}),
        "name",
        frozenset({"key", "state", "url"}),
        frozenset({"name", "description", "refname"}),
    ),
    "bitbucket-server": _Rules(
        r"/rest/api/latest/projects/octo/repos/hello/commits/([0-9a-f]{40})/builds",
        ("Authorization", f"Bearer {TOKEN}"),
        frozenset({"CANCELLED", "FAILED", "INPROGRESS", "SUCCESSFUL", "UNKNOWN"}),
        "name",
        frozenset({"key", "state", "url"}),
        frozenset({"name", "description", "ref", "buildNumber", "parent", "duration", "testResults"}),
    ),
}


@dataclass
class ForgeServer:
    """A forge on loopback.

    Attributes:
        statuses: the states of each context of a commit, first to last.
        problems: what was wrong with requests.
        answers: what the next requests are answered with instead: status and headers.
    """

    provider: str
    port: int = 0
    statuses: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    descriptions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Json]:
        """The answer to a request."""
        self.requests += 1
        if self.answers:
            status, more = self.answers.pop(0)
            return status, more, {}
        rules = _RULES[self.provider]
        match = re.fullmatch(rules.path, path)
        problem = self._problem(rules, method, match, headers, body)
        if problem:
            self.problems.append(f"{method} {path}: {problem}")
            return 400, {}, {"message": problem}
        assert match is not None
        document = json.loads(body)
        context = str(document[rules.context])
        states = self.statuses.setdefault((match[1], context), [])
        if self.provider == "gitlab" and states and states[-1] == document["state"]:
            return 400, {}, {"message": "Cannot transition status via :run from :running"}
        states.append(document["state"])
        self.descriptions.append(str(document.get("description")))
        return 201, {}, {}

    def _problem(self, rules: _Rules, method: str, match: Any, headers: Any, body: bytes) -> str:
        if method != "POST" or match is None:
            return "there is no such call"
        if headers.get(rules.header[0]) != rules.header[1]:
            return f"{rules.header[0]} is not what authenticates"
        if "json" not in headers.get("Content-Type", "") or not headers.get("User-Agent"):
            return "Content-Type and User-Agent are required"
        document = json.loads(body)
        if missing := rules.required - document.keys():
            return f"missing: {sorted(missing)}"
        if unknown := document.keys() - rules.required - rules.optional:
            return f"unknown: {sorted(unknown)}"
        if document["state"] not in rules.states:
            return f"unknown state {document['state']}"
        if len(document.get("key", "")) > 40 or len(document.get("description", "")) > 140:
            return "too long"
        return ""


@contextmanager
def forge_server(provider: str) -> Iterator[ForgeServer]:
    """A running forge."""
    found = ForgeServer(provider)
    with serve_forge(found.handle) as port:
        found.port = port
        yield found


@contextmanager
def serve_forge(handle: Callable[[str, str, Any, bytes], tuple[int, dict[str, str], Json]]) -> Iterator[int]:
    """Have requests answered on loopback; the port. `handle`: method, path, headers, body -> status, headers, body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, document = handle(self.command, self.path, self.headers, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_POST  # noqa: N815 - names that the server asks for

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LONGEST)
