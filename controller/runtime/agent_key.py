"""The file of the key that signs agents' tokens, links and proofs."""

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
        key = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"--agent-key-file {file}: {error.strerror}") from error
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"--agent-key-file {file}: {len(key)} bytes are too few; {MIN_KEY_BYTES} at least")
    return key
