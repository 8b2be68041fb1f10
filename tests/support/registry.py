"""A registry of images with one image, over the distribution API: HTTP on the loopback interface, in a thread."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Contents = dict[str, tuple[bytes, str]]
"""The body and its type, by path."""

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Registry:
    """A running registry.

    Attributes:
        requests: the paths that were asked for, in their order.
    """

    address: str
    """Host and port, as in the name of an image."""
    requests: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    """Serves these bodies, each with its type, to those who send the header `Authorization` that is wanted."""

    def __init__(self, contents: Contents, wanted: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents, self.wanted = contents, wanted
        self.registry = Registry(f"127.0.0.1:{self.server_address[1]}")


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.registry.requests.append(self.path)
        if self.server.wanted is not None and self.headers.get("Authorization") != self.server.wanted:
            self._answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', "application/json")
        elif self.path in self.server.contents:
            self._answer(200, *self.server.contents[self.path])
        else:
            errors = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._answer(404, json.dumps(errors).encode(), "application/json")

    do_HEAD = do_GET  # noqa: N815 - the name is that of the library

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Docker-Content-Digest", _digest(body))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="tests"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


def _image_contents(root_file_system: bytes, name: str) -> Contents:
    """What a registry answers about `NAME:1`, by path."""
    layer = gzip.compress(root_file_system, 1, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["echo", "pulled"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(root_file_system)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": _digest(layer)}],
        }
    ).encode()
    base = f"/v2/{name}"
    return {
        "/v2/": (b"{}", "application/json"),
        f"{base}/manifests/1": (manifest, _MANIFEST),
        f"{base}/manifests/{_digest(manifest)}": (manifest, _MANIFEST),
        f"{base}/blobs/{_digest(config)}": (config, _CONFIG),
        f"{base}/blobs/{_digest(layer)}": (layer, _LAYER),
    }


@contextmanager
def run_registry(root_file_system: bytes, *, name: str, login: str = "") -> Iterator[Registry]:
    """Serve one image as `ADDRESS/NAME:1`. `login`: `user:password` that is required; empty for none."""
    contents = _image_contents(root_file_system, name)
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
    with _Server(contents, wanted) as server:
        registry = server.registry
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
