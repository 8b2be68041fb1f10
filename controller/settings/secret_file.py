"""The file with the secrets of a proxy, which may change while the controller runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.settings.errors import SettingsError

MIN_SECRET, MAX_SECRETS = 32, 4


@dataclass
class SecretFile:
    """The secrets of the proxy, one a line: the new and the old one while they are being replaced.

    It is read again when it has changed: a Secret that is mounted into a pod changes without a restart.
    """

    path: Path
    _read: tuple[int, int, int] | None = field(default=None, repr=False)
    _secrets: Sequence[bytes] = field(default=(), repr=False)

    def load(self) -> Sequence[bytes]:
        """The secrets. Raises SettingsError for a file that can't be read, and for secrets that are too short."""
        try:
            found = self.path.stat()
            version = (found.st_mtime_ns, found.st_size, found.st_ino)
            if version != self._read:
                self._secrets = _parse_secrets(self.path.read_bytes())
                self._read = version
        except OSError as error:
            raise SettingsError(f"--auth-proxy-secret-file {self.path}: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(f"--auth-proxy-secret-file {self.path}: {error}") from None
        return self._secrets


def _parse_secrets(data: bytes) -> Sequence[bytes]:
    """The secrets in a file. Raises ValueError."""
    found = [line.strip() for line in data.splitlines() if line.strip()]
    if not 1 <= len(found) <= MAX_SECRETS:
        raise ValueError(f"expected 1 to {MAX_SECRETS} secrets, one a line")
    for each in found:
        if len(each) < MIN_SECRET or b":" in each or not all(0x21 <= byte <= 0x7E for byte in each):
            raise ValueError(f"a secret has at least {MIN_SECRET} characters of ASCII, no blanks and no colons")
    return tuple(found)
