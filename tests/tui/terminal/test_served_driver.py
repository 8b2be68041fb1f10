"""What the driver of a served workbench writes."""

from __future__ import annotations

import os
from threading import Thread

from workbench.tui.terminal.served_driver import PacketWriter


def test_packets_of_two_threads_are_not_mixed() -> None:
    ours, theirs = os.pipe()
    write = PacketWriter(theirs)
    # Larger than a pipe holds, so that a thread has to wait in the middle of each.
    packets = [letter * 200_000 for letter in (b"a", b"b")]

    def send(packet: bytes) -> None:
        for _ in range(20):
            assert write(packet) == len(packet)

    threads = [Thread(target=send, args=(packet,)) for packet in packets]
    for thread in threads:
        thread.start()
    with os.fdopen(ours, "rb") as reader:
        read = [reader.read(200_000) for _ in range(40)]
    for thread in threads:
        thread.join()
    os.close(theirs)
    assert sorted(read) == sorted(packets * 20)
