"""The bucket and its proof, by boto3 over HTTP, against a store of the few calls that it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kind.errors import KindError
from kind.object_store import S3Config, check_store, create_bucket, minio_url
from tests.support.waiting import LONGEST


class Objects(ThreadingHTTPServer):
    """Buckets and objects by path; `refuses` answers 403 to everything, `forgets` keeps nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, bytes] = {}
        self.refuses = self.forgets = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Objects
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 23 Nov 2026 08:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if not self.server.refuses and not (self.server.forgets and self.path.count("/") > 1):
            self.server.kept[self.path] = body
        self.answer(403 if self.server.refuses else 200)

    def do_GET(self) -> None:
        found = self.server.kept.get(self.path)
        self.answer(403 if self.server.refuses else 200 if found is not None else 404, found or b"")

    do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

    def do_DELETE(self) -> None:
        self.server.kept.pop(self.path, None)
        self.answer(204)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def objects() -> Iterator[Objects]:
    with Objects() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join(LONGEST)


def store(objects: Objects) -> S3Config:
    return S3Config(objects.url, access_key="access-key", secret_key="very-secret-key")


async def test_bucket_is_created_once_and_checked_without_a_trace(objects: Objects) -> None:
    assert await create_bucket(store(objects)) is True
    assert await create_bucket(store(objects)) is False
    await check_store(store(objects))
    assert list(objects.kept) == ["/c8s"]


async def test_rejection_is_reported_without_credentials(objects: Objects) -> None:
    objects.refuses = True
    for tried in (create_bucket, check_store):
        with pytest.raises(KindError, match="keys") as caught:
            await tried(store(objects))
        assert "very-secret-key" not in str(caught.value)
        assert "very-secret-key" not in repr(store(objects))


async def test_store_that_loses_objects_fails_the_check(objects: Objects) -> None:
    await create_bucket(store(objects))
    objects.forgets = True
    with pytest.raises(KindError, match="can't be used"):
        await check_store(store(objects))


def test_pods_and_users_get_different_urls() -> None:
    assert minio_url("http://127.0.0.1:18900") == (
        "s3://c8s?endpoint=http://c8s-minio.c8s-system.svc:9000&public-endpoint=http://127.0.0.1:18900"
    )
