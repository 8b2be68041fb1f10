"""The image of the container that holds a pod's network: one program that waits for ever, made here.

Kubernetes uses registry.k8s.io/pause for that, which an offline machine does not have. Ours is small enough to be
written down: an ELF file without libraries whose code is a single system call in a loop.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile

PROGRAM = "/pause"

_BASE = 0x400000
_EHDR_SIZE, _PHDR_SIZE = 64, 56
_EXECUTABLE, _LOADABLE, _READ_EXECUTE = 2, 1, 5
_X86_64, _AARCH64 = 62, 183
_CODE = {
    # mov eax, 34 (pause); syscall; jmp to the start
    _X86_64: bytes.fromhex("b822000000 0f05 ebf7"),
    # mov x0..x3, 0; mov x8, 73 (ppoll); svc 0; b to the start
    _AARCH64: b"".join(
        struct.pack("<I", word)
        for word in (0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA)
    ),
}
_MACHINES = {"x86_64": _X86_64, "amd64": _X86_64, "aarch64": _AARCH64, "arm64": _AARCH64}


def program(architecture: str) -> bytes | None:
    """The program for an architecture as engines name it; None for one that is not known here."""
    machine = _MACHINES.get(architecture)
    if machine is None:
        return None
    code = _CODE[machine]
    offset = _EHDR_SIZE + _PHDR_SIZE
    size = offset + len(code)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        ident,
        _EXECUTABLE,
        machine,
        1,
        _BASE + offset,
        _EHDR_SIZE,
        0,
        0,
        _EHDR_SIZE,
        _PHDR_SIZE,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", _LOADABLE, _READ_EXECUTE, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def root_file_system(content: bytes) -> bytes:
    """A tar archive with the program alone, as engines import images."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def image_tag(content: bytes) -> str:
    """A name for the image that changes with its content."""
    return f"c8s-pause:{hashlib.sha256(content).hexdigest()[:12]}"
