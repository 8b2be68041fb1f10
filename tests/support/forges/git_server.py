"""Git repositories over HTTP, served by `git http-backend` as a forge serves them."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from tests.support.waiting import LONGEST

_IDENTITY = ("-c", "user.name=Mona", "-c", "user.email=mona@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; its output."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *_IDENTITY, *words], cwd=folder, check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()


@dataclass
class Repository:
    """A working tree whose commits are pushed to a bare repository that the server has."""

    tree: Path
    bare: Path
    url: str

    def commit(self, files: dict[str, str], *, branch: str = "main", message: str = "Change", ref: str = "") -> str:
        """Commit these files and push the branch, or another full reference name; the commit."""
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "--allow-empty", "-m", message)
        git(self.tree, "push", "-q", "-f", "origin", f"HEAD:{ref or f'refs/heads/{branch}'}")
        return git(self.tree, "rev-parse", "HEAD")

    def switch(self, branch: str, start: str = "") -> None:
        """Check out a branch in the working tree, created at `start` if it is given."""
        git(self.tree, "checkout", "-q", *(["-b", branch, start] if start else [branch]))


@dataclass
class GitServer:
    """A git server on loopback. `password`: what clients have to give, if anything."""

    folder: Path
    password: str = ""
    port: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def repository(self, name: str) -> Repository:
        """A new, empty repository with this name, such as `octo/hello`."""
        bare, tree = self.folder / "served" / f"{name}.git", self.folder / "trees" / name
        bare.mkdir(parents=True)
        tree.mkdir(parents=True)
        git(bare, "init", "-q", "--bare", "-b", "main")
        git(bare, "config", "http.receivepack", "false")
        git(bare, "config", "uploadpack.allowFilter", "true")
        git(bare, "config", "uploadpack.allowReachableSHA1InWant", "true")
        git(tree, "init", "-q", "-b", "main")
        git(tree, "remote", "add", "origin", str(bare))
        return Repository(tree, bare, f"{self.url}/{name}.git")


@contextmanager
def git_server(folder: Path, *, password: str = "") -> Iterator[GitServer]:
    """A running server whose repositories are below the folder."""
    found = GitServer(folder, password)

    class Handler(_Backend):
        server_state = found

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LONGEST)


class _Backend(BaseHTTPRequestHandler):
    """Passes requests to `git http-backend`, which is a CGI program."""

    server_state: GitServer
    protocol_version = "HTTP/1.1"
    # Otherwise each answer waits 40 ms between its head and its body.
    wbufsize = 65536
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self._body()
        state, parts = self.server_state, urlsplit(self.path)
        state.requests.append(f"{self.command} {self.path}")
        expected = base64.b64encode(f"x-access-token:{state.password}".encode()).decode()
        if state.password and self.headers.get("Authorization") != f"Basic {expected}":
            self._respond(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(state.folder / "served"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((int(value[:3]) for name, value in fields if name == "Status"), 200)
        self._respond(status, [(name, value) for name, value in fields if name != "Status"], content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _respond(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
