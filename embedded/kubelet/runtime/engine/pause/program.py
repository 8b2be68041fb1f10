"""The program of the container that holds a pod's network. Pure.

Without an argument it waits for ever, which is what holds the network. With one, it connects to a port in it and copies
between this connection and its own stdin and stdout: so the kubelet reaches ports of pods whose network it is not
connected with, such as those of a rootless engine or of one in a virtual machine.

Kubernetes uses registry.k8s.io/pause for the former, which an offline machine does not have. Ours is small enough to be
written down: an ELF file without libraries. The code is assembled from the files beside this one, which a test checks.
"""

from __future__ import annotations

import ipaddress
import struct

PROGRAM = "/pause"
CONNECTED = b"\0"
"""What the program writes first once it is connected. It otherwise ends with the number of the system's error."""

_BASE = 0x400000
_EHDR_SIZE, _PHDR_SIZE = 64, 56
_EXECUTABLE, _LOADABLE, _READ_EXECUTE = 2, 1, 5
_X86_64, _AARCH64 = 62, 183
_AF_INET, _AF_INET6 = 2, 10
"""As on Linux, where the program runs."""
_CODE = {
    _X86_64: bytes.fromhex(
        "585f5e4885f675076a22580f05ebf94881ec002000004889e7ac84c0740f2c61c0e00488c1ac2c6108c8aaebec4989fc"
        "4929e44983ec2031ff4889e631d26a26580f050fb77c24206a015e31d26a29580f0585c00f888e00000089c389df488d"
        "7424204489e26a2a580f0585c078796a015f4889e689fa89f80f056a015848c1e0204889042489d94809c84889442408"
        "4889e76a025e6aff5a6a07580f0585c0784631ff89dd66837c240600750589df6a015d4c8d7424404c89f6ba00100000"
        "31c00f0585c07e1e4189c589ef4c89f64489ea6a01580f0585c07e0a4901c64129c575e7eb9531c0f7d889c7b8e70000"
        "000f05"
    ),
    _AARCH64: bytes.fromhex(
        "e10b40f9010100b5000080d2010080d2020080d2030080d2280980d2010000d4faffff17ff0b40d1f4030091e2030091"
        "23144038e30000342414403863840151848401518310032a43140038f9ffff17530014cb738200d1000080d2e10314aa"
        "020080d2e80c80d2010000d480424079210080d2020080d2c81880d2010000d44006f837f50300aa81820091e20313aa"
        "681980d2010000d48005f837200080d2e10314aa220080d2080880d2010000d42000c0d2800200f9000015aa800600f9"
        "e00314aa410080d2020080d2030080d2280980d2010000d48003f837800e4079160080d2f70315aa60000035f60315aa"
        "370080d2e00316aa99020191e10319aa020082d2e80780d2010000d41f0000f1ad010054f80300aae00317aae10319aa"
        "e20318aa080880d2010000d41f0000f1ad0000543903008b180300ebe1feff54dcffff17000080d2e00300cbc80b80d2"
        "010000d4"
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


def connect_argument(address: str, port: int, seconds: int) -> str:
    """The argument with which the program connects to a port.

    It has the bytes of the system calls, each as two letters: a `struct itimerval`, after which the program is ended,
    and a `struct sockaddr_in` or `sockaddr_in6`.

    Args:
        address: an IP address.
        seconds: until it is ended in any case; engines can't end what they have started in a container.

    Raises:
        ValueError: it is no address.
        OverflowError: there is no such port.
    """
    found = ipaddress.ip_address(address)
    number = port.to_bytes(2, "big")
    if isinstance(found, ipaddress.IPv4Address):
        place = struct.pack("<H2s4s8x", _AF_INET, number, found.packed)
    else:
        place = struct.pack("<H2sI16sI", _AF_INET6, number, 0, found.packed, 0)
    content = struct.pack("<qqqq", 0, 0, seconds, 0) + place
    return "".join(chr(ord("a") + (byte >> 4)) + chr(ord("a") + (byte & 15)) for byte in content)
