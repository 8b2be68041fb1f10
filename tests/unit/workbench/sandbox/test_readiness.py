"""What `c8s status` says of a component that is not ready, and the request with which the API is imported."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from workbench.sandbox.status import ask_for_api, check_ready


@contextmanager
def _component(answer: str, asked: list[tuple[str, str | None]] | None = None) -> Iterator[int]:
    """The port of a component that is not ready and answers with this text; `asked` gets paths and tokens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append((self.path, self.headers["Authorization"]))
            self.send_response(503)
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            '{"ready":false,"parts":["store"],"waitingFor":[{"part":"operator","why":"no watch"},'
            '{"part":"runs","why":"old"}]}',
            "not ready: operator: no watch; runs: old",
        ),
        ('{"title":"Unavailable","detail":"the store does not answer"}', "the store does not answer"),
        ('{"ready":false,"waitingFor":[]}', '{"ready":false,"waitingFor":[]}'),
        ("[1]", "[1]"),
        ("starting", "starting"),
        ("", "answers HTTP 503"),
    ],
)
def test_unready_component_says_what_it_waits_for(answer: str, detail: str) -> None:
    with _component(answer) as port:
        found = check_ready(port)
    assert (found.ready, found.detail) == (False, detail)


def test_api_is_asked_as_the_user_of_the_sandbox(tmp_path: Path) -> None:
    token, asked = tmp_path / "token", list[tuple[str, str | None]]()
    token.write_text("secret\n")
    with _component("it is starting", asked) as port:
        ask_for_api(port, token)
        wait_until(lambda: asked)
    assert asked == [("/api/v1/cluster", "Bearer secret")]


def test_api_that_does_not_answer_is_nobodys_problem(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    ask_for_api(port, tmp_path / "missing")
    (tmp_path / "token").write_text("secret")
    ask_for_api(port, tmp_path / "token")
    wait_until(lambda: not any(thread.name == "ask for the API" for thread in threading.enumerate()))
