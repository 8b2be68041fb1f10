"""HTTP's `Range` for a single range of bytes (RFC 9110, section 14). Pure."""

import re
from dataclasses import dataclass

from controller.api.http.problems import ApiProblemError

_ONE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True)
class ByteRange:
    """Bytes `start` to `stop` (excluded) of an object of `size` bytes; `partial` unless the whole was requested."""

    start: int
    stop: int
    size: int
    partial: bool

    @property
    def status(self) -> int:
        """200 or 206."""
        return 206 if self.partial else 200

    def headers(self) -> dict[str, str]:
        """The headers that describe the range."""
        found = {"Accept-Ranges": "bytes", "Content-Length": str(self.stop - self.start)}
        if self.partial:
            found["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{self.size}"
        return found


def parse_range(header: str | None, size: int) -> ByteRange:
    """The range that a Range header requests; the whole object for none, several or an invalid one, as the RFC allows.

    A range outside the object is a problem 416.
    """
    whole = ByteRange(0, size, size, partial=False)
    match = _ONE.fullmatch((header or "").strip())
    if match is None or match.groups() == ("", ""):
        return whole
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return whole
    if start >= stop:
        detail = f"the object has {size} bytes"
        raise ApiProblemError("range-not-satisfiable", detail, headers={"Content-Range": f"bytes */{size}"})
    return ByteRange(start, stop, size, partial=True)
