"""The files of the keys: the controller's, which signs agents' tokens, links and proofs, and the receiver's."""

import secrets
from pathlib import Path

from controller.files import create_private
from controller.settings import SettingsError

KEY_BYTES = 32
MIN_KEY_BYTES = 16


def load_agent_key(file: Path) -> bytes:
    """The key that signs agents' tokens and links: read, or created with mode 0600. Raises SettingsError."""
    try:
        if not file.exists():
            create_private(file, secrets.token_bytes(KEY_BYTES))
    except OSError as error:
        raise SettingsError(f"--agent-key-file {file}: {error.strerror}") from error
    return _read("agent-key-file", file)


def load_webhook_key(file: Path) -> bytes:
    """The key of a receiver that is a process of its own. Raises SettingsError."""
    return _read("webhook-key-file", file).strip()


def _read(flag: str, file: Path) -> bytes:
    try:
        key = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"--{flag} {file}: {error.strerror}") from error
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"--{flag} {file}: {len(key)} bytes are too few; {MIN_KEY_BYTES} at least")
    return key
