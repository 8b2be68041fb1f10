"""TLS to an engine: the certificates that Docker's command line program uses too.

Only the standard library is imported: commands that start a sandbox come here.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from embedded.kubelet.runtime.engine.errors import EngineUnreachableError

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.pem", "cert.pem", "key.pem"


def client_context(folder: str) -> ssl.SSLContext:
    """What a client needs that verifies an engine, and identifies itself if there is a certificate for that.

    Args:
        folder: has `ca.pem`, without which the machine's certificates count, and `cert.pem` with `key.pem`.

    Raises:
        EngineUnreachableError: a file can't be used; the message names it.
    """
    files = {name: Path(folder) / name for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE)}
    there = {name for name, file in files.items() if file.exists()}
    if not there:
        raise EngineUnreachableError(
            f"there are no certificates for TLS in {folder}: DOCKER_CERT_PATH names the folder that has {CA_FILE}, "
            f"{CERTIFICATE_FILE} and {KEY_FILE}"
        )
    if (CERTIFICATE_FILE in there) != (KEY_FILE in there):
        raise EngineUnreachableError(f"{folder} has one of {CERTIFICATE_FILE} and {KEY_FILE}, and needs both")
    used = CA_FILE
    try:
        context = ssl.create_default_context(cafile=str(files[CA_FILE]) if CA_FILE in there else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if CERTIFICATE_FILE in there:
            used = CERTIFICATE_FILE
            # Asking for a password would block a start in the background.
            context.load_cert_chain(files[CERTIFICATE_FILE], files[KEY_FILE], password=_refuse_password)
    except (OSError, ValueError) as error:
        raise EngineUnreachableError(f"the certificates in {folder} can't be used ({used}): {error}") from error
    return context


def _refuse_password() -> str:
    raise ValueError(f"{KEY_FILE} needs a password, which is not supported")


def explain(error: BaseException) -> str:
    """Why a connection by TLS failed, in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return str(error)
