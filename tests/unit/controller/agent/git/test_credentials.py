"""The credentials of a repository reach the server of its URL and no other, through real git over HTTP and ssh."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.agent.errors import AgentError
from controller.agent.git.clone import Git
from controller.agent.git.credentials import Server, parse_server, prepare_credentials


class Host:
    """An HTTP server that requires a login; `logins` are those that it was given."""

    def __init__(self, folder: Path) -> None:
        self.logins: list[str] = []
        self.opened: list[str] = []
        """The paths of requests with a login."""
        self.redirect: tuple[str, str] | None = None
        """The start of a path, and the address to which requests of it are redirected."""
        self.redirects_strangers = True
        """Whether a request without a login is redirected too."""
        host = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                given = self.headers.get("Authorization")
                if given is not None:
                    host.opened.append(self.path)
                    host.logins.append(base64.b64decode(given.split()[1]).decode())
                path, to = host.redirect or (None, "")
                if path is not None and self.path.startswith(path) and (given or host.redirects_strangers):
                    self._answer(301, "Location", to + self.path)
                elif given is None:
                    self._answer(401, "WWW-Authenticate", 'Basic realm="x"')
                else:
                    super().do_GET()

            def _answer(self, status: int, header: str, value: str) -> None:
                self.send_response(status)
                self.send_header(header, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Host:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


StartHost = Callable[[Path], Host]


@pytest.fixture
def start_host() -> Iterator[StartHost]:
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(Host(folder))


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def make_repository(tmp_path: Path, submodule: str | None = None) -> Path:
    """A folder that serves `repo.git`, with a submodule at this URL."""
    work, served = tmp_path / "work", tmp_path / "served"
    work.mkdir()
    served.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "file").write_text("x\n")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "one")
    if submodule is not None:
        (work / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {submodule}\n')
        git(work, "add", "-A")
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{git(work, 'rev-parse', 'HEAD')},x")
        git(work, "commit", "-q", "-m", "submodule")
    git(tmp_path, "clone", "-q", "--bare", str(work), str(served / "repo.git"))
    git(served / "repo.git", "update-server-info")
    return served


@pytest.fixture
def login(tmp_path: Path) -> Path:
    folder = tmp_path / "its secret"
    folder.mkdir()
    (folder / "username").write_text("deploy")
    (folder / "password").write_text("to'ken=1\n")
    return folder


def checkout(tmp_path: Path, url: str, folder: Path, *, submodules: bool = False) -> str:
    scratch = tmp_path / "scratch of it"
    scratch.mkdir()
    return Git(str(scratch / "tree"), str(scratch), url, str(folder)).checkout("HEAD", submodules=submodules)


def test_server_of_the_url_gets_the_login(tmp_path: Path, start_host: StartHost, login: Path) -> None:
    host = start_host(make_repository(tmp_path))
    assert checkout(tmp_path, f"{host.url}/repo.git", login) == git(tmp_path / "work", "rev-parse", "HEAD")
    assert set(host.logins) == {"deploy:to'ken=1"}


def test_submodule_elsewhere_gets_no_login(tmp_path: Path, start_host: StartHost, login: Path) -> None:
    stranger = start_host(tmp_path)
    host = start_host(make_repository(tmp_path, f"{stranger.url}/x.git"))
    with pytest.raises(AgentError, match=r"submodule.*server of the run's own URL only"):
        checkout(tmp_path, f"{host.url}/repo.git", login, submodules=True)
    assert host.logins
    assert stranger.logins == []


def test_submodule_of_the_same_server_gets_the_login(tmp_path: Path, start_host: StartHost, login: Path) -> None:
    host = start_host(make_repository(tmp_path, "../missing.git"))
    with pytest.raises(AgentError, match=r"missing.git|submodule"):
        checkout(tmp_path, f"{host.url}/repo.git", login, submodules=True)
    assert any("/missing.git/" in path for path in host.opened)


@pytest.mark.parametrize("before_login", [True, False])
def test_redirect_to_another_server_gets_no_login(
    tmp_path: Path, start_host: StartHost, login: Path, before_login: bool
) -> None:
    stranger = start_host(tmp_path)
    host = start_host(make_repository(tmp_path))
    host.redirect, host.redirects_strangers = ("/repo.git", stranger.url), before_login
    with pytest.raises(AgentError, match="can't be read"):
        checkout(tmp_path, f"{host.url}/repo.git", login)
    assert bool(host.logins) != before_login
    assert stranger.logins == []


def test_redirect_on_the_same_server_is_followed(tmp_path: Path, start_host: StartHost, login: Path) -> None:
    host = start_host(make_repository(tmp_path))
    host.redirect = ("/old/", f"{host.url}/new")
    new = tmp_path / "served" / "new" / "old"
    new.mkdir(parents=True)
    (tmp_path / "served" / "repo.git").rename(new / "repo.git")
    assert checkout(tmp_path, f"{host.url}/old/repo.git", login)


def ask(tmp_path: Path, url: str, login: Path, request: str) -> str:
    """What the credential helper answers to a request of git."""
    access = prepare_credentials(url, str(tmp_path), str(login))
    helper = dict(access.options)["credential.helper"].removeprefix("!")
    return subprocess.run(
        ["sh", "-c", f"{helper} get"], input=request, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("url", "request_", "answered"),
    [
        ("https://git.example/x", "protocol=https\nhost=git.example\n", True),
        ("https://git.example/x", "protocol=https\nhost=git.example:443\n", True),
        ("https://git.example:443/x", "protocol=https\nhost=git.example\n", True),
        ("https://Git.Example/x", "protocol=https\nhost=git.example\n", True),
        ("https://[::1]:8443/x", "protocol=https\nhost=[::1]:8443\n", True),
        ("https://git.example/x", "protocol=http\nhost=git.example\n", False),
        ("https://git.example/x", "protocol=https\nhost=git.example:8443\n", False),
        ("https://git.example:8443/x", "protocol=https\nhost=git.example\n", False),
        ("https://git.example/x", "protocol=https\nhost=git.example.evil\n", False),
        ("https://g*/x", "protocol=https\nhost=git.example\n", False),
        ("https://git.example/x", "protocol=https\nhost=\n", False),
    ],
)
def test_helper_answers_for_the_same_scheme_host_and_port(
    tmp_path: Path, login: Path, url: str, request_: str, answered: bool
) -> None:
    assert ask(tmp_path, url, login, request_) == ("username=deploy\npassword=to'ken=1\n" if answered else "")


def test_user_name_in_the_url_is_kept(tmp_path: Path, login: Path) -> None:
    request = "protocol=https\nhost=git.example\nusername=bot\n"
    assert ask(tmp_path, "https://bot@git.example/x", login, request).startswith("username=bot\n")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://user:word@git.example:8443/a/b", ("https", "git.example", "8443")),
        ("ssh://git@[::1]:22/a", ("ssh", "::1", "22")),
        ("git@git.example:a/b", ("ssh", "git.example", "")),
    ],
)
def test_server_is_read_from_a_url(url: str, server: tuple[str, str, str]) -> None:
    found: Server = parse_server(url)
    assert (found.scheme, found.host, found.port) == server


@pytest.mark.parametrize(
    ("words", "has_key"),
    [
        (["git@git.example", "git-upload-pack 'x'"], True),
        (["-o", "SendEnv=GIT_PROTOCOL", "-p", "22", "git@git.example", "x"], True),
        (["-p", "2222", "git@git.example", "x"], False),
        (["git@evil.example", "x"], False),
        (["-o", "git.example", "evil.example", "x"], False),
        (["-oProxyCommand=x", "git.example"], False),
    ],
)
def test_ssh_key_is_offered_to_the_server_of_the_url_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], has_key: bool
) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "key of it"
    programs.mkdir()
    folder.mkdir()
    (folder / "ssh-privatekey").write_text("KEY")
    (programs / "ssh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (programs / "ssh").chmod(0o755)
    access = prepare_credentials("git@git.example:x", str(tmp_path), str(folder))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    called = subprocess.run([access.variables["GIT_SSH"], *words], capture_output=True, text=True, check=True)
    arguments = called.stdout.splitlines()
    assert arguments[-len(words) :] == words
    assert (str(tmp_path / "key") in arguments) == has_key
    assert ("IdentityFile=none" in arguments) != has_key
