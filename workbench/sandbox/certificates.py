"""The sandbox's TLS certificate: kubectl sends its token only over TLS.

It is created on this machine for 127.0.0.1 and localhost, its key never leaves
the sandbox's folder, and only the sandbox's own kubeconfig trusts it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from controller.files import write_private
from controller.tls_certificate import make_certificate

_LIFETIME = timedelta(days=800)
_RENEW_BEFORE = timedelta(days=30)
_DUE = "renew-after"


def ensure_certificate(folder: Path, now: datetime) -> tuple[Path, Path]:
    """The certificate and its key; created if missing, damaged or about to expire."""
    certificate, key, due = folder / "cluster.crt", folder / "cluster.key", folder / f"cluster.{_DUE}"
    if not (_is_pem(certificate) and _is_pem(key) and _good(due, now)):
        pem, key_pem = make_certificate("c8s sandbox", ["localhost"], ["127.0.0.1"], now, _LIFETIME)
        write_private(key, key_pem)
        write_private(certificate, pem)
        write_private(due, (now + _LIFETIME - _RENEW_BEFORE).isoformat() + "\n")
    return certificate, key


def _is_pem(file: Path) -> bool:
    """Whether the file looks whole. The library that could read it takes too long to import."""
    try:
        lines = file.read_bytes().split()
    except OSError:
        return False
    return lines[:1] == [b"-----BEGIN"] and lines[-1].endswith(b"-----")


def _good(due: Path, now: datetime) -> bool:
    try:
        return now < datetime.fromisoformat(due.read_text().strip())
    except (OSError, ValueError):
        return False
