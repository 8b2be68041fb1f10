"""An HTTP proxy in front of one server that does to requests and responses what networks and old servers do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.seaweedfs import ACCESS_KEY, SECRET_KEY
from tests.support.waiting import LONGEST


class FaultyProxy(ThreadingHTTPServer):
    """Passes requests to `port` of this machine.

    `ignored_headers` are not passed on, a response is cut off after `cut_after` bytes, and while `silent`, nothing is
    answered.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = port
        self.ignored_headers: set[str] = set()
        self.cut_after: int | None = None
        self.silent = False
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.silent:
            self.server.released.wait(LONGEST)
            self.close_connection = True
            return
        headers = dict(self.headers.items())
        if self.server.ignored_headers:
            headers = self._signed_again({name: text for name, text in headers.items() if self._is_passed(name)}, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=LONGEST)
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        self.send_response_only(response.status, response.reason)
        for name, text in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, text)
        length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        if response.status not in (204, 304):
            self.send_header("Content-Length", length or "0")
        self.end_headers()
        limit = self.server.cut_after if self.command == "GET" else None
        self.wfile.write(data[:limit])
        self.close_connection = limit is not None

    def _is_passed(self, name: str) -> bool:
        signature = ("authorization", "host", "x-amz-date", "x-amz-content-sha256")
        return name.lower() not in {*self.server.ignored_headers, *signature}

    def _signed_again(self, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers with a signature that covers no others: the server would notice one that is missing."""
        request = AWSRequest(self.command, f"http://127.0.0.1:{self.server.target}{self.path}", headers, body)
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def faulty_proxy(port: int) -> Iterator[FaultyProxy]:
    """A proxy in front of this port, without a fault yet."""
    with FaultyProxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            proxy.shutdown()
            thread.join(LONGEST)
