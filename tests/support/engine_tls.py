"""An engine that is reached by TLS: a Docker daemon of the tests' own, with certificates that are made on the spot."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.connection.detect import find_engine
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from tests.support.tools import free_ports
from tests.support.waiting import LONGEST, wait_until

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


def make_certificates(folder: Path) -> None:
    """`ca.pem`, `cert.pem` and `key.pem` of a client, and those of a server on 127.0.0.1 in `server`."""
    server = folder / "server"
    server.mkdir(parents=True)
    authority = ("-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca-key.pem"))
    _openssl(*_KEY, "-subj", "/CN=authority", "-keyout", str(folder / "ca-key.pem"), "-out", str(folder / "ca.pem"))
    for place, extensions in (
        (server, ("subjectAltName=IP:127.0.0.1", "extendedKeyUsage=serverAuth", "basicConstraints=CA:FALSE")),
        (folder, ("extendedKeyUsage=clientAuth", "basicConstraints=CA:FALSE")),
    ):
        files = ("-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem"))
        added = [word for extension in extensions for word in ("-addext", extension)]
        _openssl(*_KEY, "-subj", f"/CN={place.name}", *files, *added, *authority)
    shutil.copy(folder / "ca.pem", server)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", "req", "-x509", *arguments], check=True, capture_output=True)


@contextmanager
def tls_daemon(folder: Path) -> Iterator[dict[str, str]]:
    """A daemon that wants certificates; the variables with which it is found."""
    certificates = folder / "certificates"
    bridge = f"c8s-{secrets.token_hex(4)}"
    # Networks that are reserved for tests of network devices (RFC 2544).
    bridge_address = f"198.18.{secrets.randbelow(256)}.1/24"
    make_certificates(certificates)
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    server = certificates / "server"
    files = {"--tlscacert": "ca.pem", "--tlscert": "cert.pem", "--tlskey": "key.pem"}
    command = [
        *("dockerd", "--tlsverify", "--host", address, "--host", f"unix://{folder}/docker.sock"),
        *(word for option, name in files.items() for word in (option, str(server / name))),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        # Without a bridge of its own, it would remove that of the machine's daemon.
        *("--bridge", bridge, "--iptables=false", "--ip6tables=false"),
    ]
    variables = {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    log = folder / "log"
    _ip("link", "add", bridge, "type", "bridge")
    process = None
    try:
        _ip("address", "add", bridge_address, "dev", bridge)
        _ip("link", "set", bridge, "up")
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)

        def answers() -> bool:
            assert process is not None
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                find_engine("docker", variables, folder)
            except RuntimeUnavailableError:
                return False
            return True

        wait_until(answers, what=lambda: f"dockerd: {log.read_text()[-2000:]}")
        yield variables
    finally:
        if process is not None:
            process.terminate()
            process.wait(LONGEST)
        _unmount(folder)
        _ip("link", "delete", bridge)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _unmount(folder: Path) -> None:
    """Unmount what the daemon has left, such as the network namespace of the machine."""
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed(places):
        if Path(place).is_relative_to(folder):
            subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def tls_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of an engine that is reached by TLS; skipped where this user can't start one."""
    missing = [program for program in ("dockerd", "ip", "openssl") if shutil.which(program) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"a Docker daemon of the tests' own needs root, dockerd, ip and openssl (missing: {missing})")
    if os.environ.get("C8S_TEST_ENGINE") != "required":
        pytest.skip("a Docker daemon of the tests' own is started with C8S_TEST_ENGINE=required only")
    with tls_daemon(tmp_path_factory.mktemp("tls")) as variables:
        yield variables
