"""kubectl, and a cluster process that it can talk to. Import the fixture `kubectl` into a conftest to use it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubernetes import TOKEN, run_cluster
from tests.support.waiting import LONGEST


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl with the kubeconfig in `home`."""

    home: Path

    def __call__(self, *arguments: str, given: Any = None, code: int = 0) -> str:
        """Run kubectl and return its output, stdout and stderr; fails the test if it does not exit with `code`."""
        result = subprocess.run(
            ["kubectl", *arguments],
            input=json.dumps(given) if given is not None else None,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(self.home / "kubeconfig")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
        )
        assert result.returncode == code, result.stdout
        return result.stdout


def _is_outdated() -> bool:
    """Whether this machine's kubectl is older than 1.32."""
    if shutil.which("kubectl") is None:
        return False
    output = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, timeout=LONGEST).stdout
    version = re.search(r"v1\.(\d+)", output)
    return version is None or int(version.group(1)) < 32


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl for an embedded cluster with TLS; skips if kubectl is too old."""
    if _is_outdated():
        pytest.skip("kubectl is older than 1.32")
    home = tmp_path_factory.mktemp("kubectl")
    certificate, key = home / "cert.pem", home / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True, timeout=LONGEST)
    options = ["--tls-cert-file", str(certificate), "--tls-private-key-file", str(key)]
    with run_cluster(home / "cluster", *options) as cluster:
        server = cluster.url.replace("http:", "https:")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(certificate)}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        (home / "kubeconfig").write_text(json.dumps(config))
        yield Kubectl(home)
