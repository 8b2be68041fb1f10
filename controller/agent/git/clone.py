"""`source`: clones the repository of the run once and stores a snapshot, which every step extracts.

The repository is untrusted: none of its hooks, filters and settings is used, no other protocol than that of the URL is
allowed, and its output is shown as plain text. Credentials come as files, and `git_credentials` gives them to git.
"""

# ruff: noqa: PTH102, PTH110, PTH114, PTH115, PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time

from ..archive.pack import Packed, pack
from ..archive.scratch_file import read_chunks, scratch_file
from ..archive.summary import describe_archive
from ..archive.unpack import check_link, split_path
from ..client import AgentClient
from ..errors import AgentError, printable
from ..settings import AgentSettings
from .credentials import prepare_credentials
from .definition import read_definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

_PROTOCOLS = ("https", "http", "ssh", "git")
_URL = re.compile(r"(?:https?|ssh|git|file)://\S+|[A-Za-z0-9_.]+@[A-Za-z0-9.-]+:\S+")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MAX_FILES = 200_000


def clone(settings: AgentSettings) -> None:
    """Clone, pack and upload the repository, and report its commit to the API."""
    url, revision = settings.require("C8S_GIT_URL"), settings.optional("C8S_GIT_REVISION") or "HEAD"
    slug, attempt = settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")
    if not _URL.fullmatch(url) or url.startswith("-") or revision.startswith("-"):
        raise AgentError(
            f"{printable(_without_credentials(url))} at {printable(revision)} can't be cloned: "
            "give an https, http, ssh or git URL"
        )
    started = time.monotonic()
    print(f"cloning {printable(_without_credentials(url))} at {printable(revision)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="c8s-", dir=settings.workspace) as scratch:
        tree = os.path.join(scratch, "tree")
        git = Git(tree, scratch, url, settings.optional("C8S_GIT_CREDENTIALS"))
        history = settings.flag("C8S_GIT_HISTORY")
        commit = git.checkout(
            revision,
            submodules=settings.flag("C8S_GIT_SUBMODULES"),
            history=history,
            ref=settings.optional("C8S_GIT_REF") or "",
        )
        more = read_definition(git.run, tree, commit, settings)
        with scratch_file(settings.workspace) as archive:
            packed = pack(tree, _paths(tree, history), archive, reproducible=True)
            _store(AgentClient(settings), slug, attempt, packed, archive, {"commit": commit, **more})
    took = time.monotonic() - started
    cloned = describe_archive(len(packed.files), packed.size)
    print(f"commit {commit}: {cloned}, in {took:.2f} s", flush=True)


def _store(
    client: AgentClient, slug: str, attempt: str, packed: Packed, archive: BinaryIO, found: dict[str, Any]
) -> None:
    snapshot = {"slug": slug, "attempt": int(attempt), "digest": f"sha256:{packed.sha256}", "size": packed.size}
    link = client.source_link(snapshot)
    if link is None:
        print("this snapshot is stored already", flush=True)
    else:
        client.put(link, lambda: read_chunks(archive), packed.size)
    client.commit_source({**snapshot, **found})


class Git:
    """git in one folder, without the settings of the machine and of the repository."""

    def __init__(self, tree: str, scratch: str, url: str, credentials: str | None) -> None:
        self._tree, self._url = tree, url
        access = prepare_credentials(url, scratch, credentials)
        protocols = [*_PROTOCOLS, *(["file"] if url.startswith("file://") else [])]
        allowed = [("protocol.allow", "never"), *((f"protocol.{name}.allow", "always") for name in protocols)]
        fixed = [
            ("remote.origin.url", url),
            ("core.hooksPath", "/dev/null"),
            ("advice.detachedHead", "false"),
            ("gc.auto", "0"),
        ]
        self._options = [
            word for name, value in (*allowed, *fixed, *access.options) for word in ("-c", f"{name}={value}")
        ]
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": scratch,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            **{name: os.environ[name] for name in _PROXIES if name in os.environ},
            **access.variables,
        }
        if shutil.which("git", path=self._environment["PATH"]) is None:
            raise AgentError("there is no git to clone with; the controller image has to contain it")

    def checkout(self, revision: str, *, submodules: bool, history: bool = False, ref: str = "") -> str:
        """Check out a revision; the commit that it resolves to (40 or 64 hex digits).

        `history`: `.git` has all commits, branches and tags, and is fit to be copied. `ref`: a reference that has the
        revision, for servers that give a commit only by its name.
        """
        os.mkdir(self._tree)
        # Without hooks and other samples, which are most of its work.
        self.run("init", "-q", "--template=")
        self._add_remote()
        self.run("checkout", "-q", "--detach", self._fetch(revision, ref, history=history))
        commit = self._head()
        if submodules and os.path.exists(os.path.join(self._tree, ".gitmodules")):
            print("cloning its submodules", flush=True)
            self.run("submodule", "update", "-q", "--init", "--recursive", "--depth", "1", "--recommend-shallow")
        if history:
            self._clean_git_folder()
        return commit

    def _clean_git_folder(self) -> None:
        """Take out what steps must not get or do not need: a password in the URL, hooks, an empty place for refs."""
        self.run("remote", "set-url", "origin", _without_credentials(self._url))
        folder = os.path.join(self._tree, ".git")
        shutil.rmtree(os.path.join(folder, "hooks"), ignore_errors=True)
        # Empty folders are not in a snapshot, and git knows a repository by this one.
        open(os.path.join(folder, "refs", ".keep"), "wb").close()

    def _add_remote(self) -> None:
        """What `git remote add origin` does, without a process."""
        value = self._url.replace("\\", "\\\\").replace('"', '\\"')
        with open(os.path.join(self._tree, ".git", "config"), "a", encoding="utf-8") as file:
            file.write(f'[remote "origin"]\n\turl = "{value}"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n')

    def _head(self) -> str:
        """The commit that is checked out; its hexadecimal digits are all that the file has."""
        with open(os.path.join(self._tree, ".git", "HEAD"), encoding="ascii") as file:
            return file.read().strip()

    def _fetch(self, revision: str, ref: str, *, history: bool) -> str:
        """Fetch the revision alone, or everything for its history or from a server that refuses that; its name here."""
        if not history:
            shallow = self.run("fetch", "-q", "--depth", "1", "--no-tags", "origin", revision, check=False)
            if shallow.returncode == 0:
                return "FETCH_HEAD"
        full = self.run(
            "fetch", "-q", "--tags", "origin", "+HEAD:refs/c8s/head", "+refs/heads/*:refs/remotes/origin/*", check=False
        )
        if full.returncode != 0:
            raise AgentError(f"the repository can't be read: {_error_text(full)}")
        if ref:
            # It may be gone: then the commit is perhaps on a branch.
            self.run("fetch", "-q", "--no-tags", "origin", f"+{ref}:refs/c8s/wanted", check=False)
        names = (
            ["refs/c8s/head"] if revision == "HEAD" else [f"refs/remotes/origin/{revision}", f"refs/tags/{revision}"]
        )
        if _FULL_COMMIT.fullmatch(revision):
            # A branch or a tag may have such a name: the commit is meant.
            names = []
        for name in (*names, revision):
            found = self.run("rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{commit}}", check=False)
            if found.returncode == 0:
                return found.stdout.strip()
        raise AgentError(f"the repository has no branch, tag or commit {printable(revision)}")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a git command and capture its output. Raises AgentError if it fails, unless `check` is false."""
        done = subprocess.run(
            ["git", *self._options, *arguments],
            cwd=self._tree,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if check and done.returncode != 0:
            raise AgentError(f"git {arguments[0]} failed: {_error_text(done)}")
        return done


_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


def _paths(tree: str, history: bool) -> list[str]:
    """The files of the tree, sorted; those that can't be packed safely are skipped and reported.

    `history`: `.git` is included.
    """
    found: list[str] = []
    for path in sorted(_walk(tree, "", history), key=os.fsencode):
        absolute = os.path.join(tree, path)
        try:
            path.encode("utf-8")
            if os.path.islink(absolute):
                check_link(split_path(path), os.readlink(absolute))
        except (AgentError, UnicodeEncodeError) as error:
            reason = error if isinstance(error, AgentError) else "its name is not UTF-8"
            print(f"skipped {printable(path)}: {reason}", flush=True)
            continue
        found.append(path)
        if len(found) > _MAX_FILES:
            raise AgentError(f"the repository has more than {_MAX_FILES} files")
    return found


def _walk(tree: str, folder: str, history: bool) -> Iterator[str]:
    left = [folder]
    while left:
        here = left.pop()
        with os.scandir(os.path.join(tree, here)) as entries:
            for entry in entries:
                # `.git` is a folder, in a submodule a file.
                if entry.name == ".git" and not history:
                    continue
                path = f"{here}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    left.append(f"{path}/")
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    yield path


def _without_credentials(url: str) -> str:
    """The URL without user name and password."""
    return _PASSWORD.sub("", url)


_SSH_ADVICE = ("Please make sure you have the correct access rights", "and the repository exists.")
"""Lines that git adds to any error of ssh, after its reason."""


def _error_text(done: subprocess.CompletedProcess[str]) -> str:
    lines = [
        line for line in _without_credentials(done.stderr).splitlines() if line.strip() and line not in _SSH_ADVICE
    ]
    text = printable(" ".join(lines[-3:])) or f"exit code {done.returncode}"
    if "could not read Username" in done.stderr:
        text += "; credentials are given to the server of the run's own URL only"
    return text
