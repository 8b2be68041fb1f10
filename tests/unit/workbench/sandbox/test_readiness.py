"""What `c8s status` says of a component that is not ready."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from workbench.sandbox.status import check_ready


@contextmanager
def _component(answer: str) -> Iterator[int]:
    """The port of a component that is not ready and answers with this text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
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
