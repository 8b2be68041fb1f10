"""A real cluster for the tests of this folder, which are skipped where nobody offers one.

    C8S_TEST_KIND=1           one is made with kind (node image: C8S_KIND_IMAGE) and deleted at the end
    C8S_TEST_KUBECONFIG=FILE  the current context of this; the controller is installed there from C8S_TEST_IMAGE, an
                              image that its nodes find, and reached by a port-forward

The person's own kubeconfig is neither read nor written.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.live import C8s
from tests.support.waiting import wait_until

# Read here: every test begins without C8S_ in its environment.
KIND = os.environ.get("C8S_TEST_KIND") == "1"
KUBECONFIG = os.environ.get("C8S_TEST_KUBECONFIG", "")
NODE_IMAGE = os.environ.get("C8S_KIND_IMAGE", "")
IMAGE = os.environ.get("C8S_TEST_IMAGE", "")
NAME = "c8s-test"
SECONDS = 900.0
"""The time limit of a command."""
WAIT_SECONDS = 180.0
"""How long a change in the cluster is waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.xdist_group("cluster"))
        item.add_marker(pytest.mark.timeout(1800))
        if not (KIND or KUBECONFIG):
            item.add_marker(pytest.mark.skip(reason="no cluster: set C8S_TEST_KIND=1 or C8S_TEST_KUBECONFIG"))
        elif item.get_closest_marker("kind_only") and not KIND:
            item.add_marker(pytest.mark.skip(reason="needs a cluster of its own: set C8S_TEST_KIND=1"))


@dataclass(frozen=True)
class Program(C8s):
    """The command on a real cluster, with time limits for one; kubectl on the same."""

    kubeconfig: Path = Path()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.home / "own-kubeconfig")}
        image = {"C8S_KIND_IMAGE": NODE_IMAGE} if NODE_IMAGE else {}
        return super().environment({**own, **image, **(more or {})})

    def __call__(
        self, *arguments: str, cwd: Path | None = None, stdin: str | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.home,
            env=self.environment(),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        said = f"c8s {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert expect is None or done.returncode == expect, said
        return done

    def kubectl(self, *arguments: str, stdin: str = "", expect: int | None = 0) -> str:
        """What kubectl prints, on the cluster itself."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, f"kubectl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def phase(self, run: str, namespace: str = "default") -> str:
        return self.kubectl("-n", namespace, "get", "pipelinerun", run, "-o", "jsonpath={.status.phase}", expect=None)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The command with a cluster behind it, the current context of its own configuration."""
    home = tmp_path_factory.mktemp("cluster")
    if KIND:
        program = Program(home, home / "state" / "c8s" / NAME / "kubeconfig")
        # Wheels that were collected for one image are good for the next: they may be all there is, without a network.
        shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "c8s"
        if shared.exists():
            shutil.copytree(shared, home / "cache" / "c8s")
        try:
            program("up", "--kind", "--name", NAME)
            yield program
        finally:
            program("down", "--name", NAME, "--delete", expect=None)
        return
    yield from _installed(home)


def _installed(home: Path) -> Iterator[Program]:
    given = Path(KUBECONFIG).absolute()
    context = yaml.safe_load(given.read_text())["current-context"]
    own = home / "own-kubeconfig"
    own.write_text(given.read_text())
    own.chmod(0o600)
    program = Program(home, given)
    image = ("--image", IMAGE or "c8s-controller")
    program("install", "--context", context, *image)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    forward = subprocess.Popen(
        ["kubectl", "--kubeconfig", str(given), "-n", "c8s-system", "port-forward", "service/c8s-api", f"{port}:8080"],
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), WAIT_SECONDS, what="the port-forward")
        program("install", "--context", context, *image, "--public-url", url)
        yield program
    finally:
        forward.terminate()
        forward.wait(10)


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
