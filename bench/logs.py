"""How fast logs go: the mask alone, the whole path from a cluster's stream to the archive, and what a short step costs.

Run it: `python bench/logs.py [--mask]`. Prints figures with the machine; passes no judgement. `--mask`: the mask only.
"""

import asyncio
import json
import os
import platform
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from controller.kube import Resource
from controller.logs import LogCollector, LogReader, Stream
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.timestamps import TimestampParser
from controller.storage import DirectoryStore

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
CHUNK = 64 * 1024


class FakeCluster:
    """Serves one prepared log for every container; the container has ended well."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        state = {"terminated": {"exitCode": 0}}
        return {
            "metadata": {"uid": "u"},
            "status": {"phase": "Succeeded", "containerStatuses": [{"name": "step", "state": state}]},
        }

    async def stream_log(self, namespace: str, pod: str, container: str, **_: Any) -> AsyncGenerator[bytes, None]:
        for chunk in self._chunks:
            yield chunk


def _words(choose: random.Random) -> list[str]:
    return ["".join(choose.choices(string.ascii_letters, k=choose.randint(3, 9))) for _ in range(500)]


def json_text(size: int, escaped: float) -> bytes:
    """Lines as loggers write them, of which some have an escape, in parts of a mebibyte that are equal."""
    choose = random.Random(1)
    words, lines, have = _words(choose), list[bytes](), 0
    while have < MEBIBYTE:
        message = " ".join(choose.choices(words, k=6))
        message += choose.choice((' "x"', "\n")) if choose.random() < escaped else ""
        fields = {"level": "info", "msg": message, "path": f"/{'/'.join(choose.choices(words, k=2))}", "n": len(lines)}
        lines.append(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        have += len(lines[-1])
    return b"".join(lines) * (size // MEBIBYTE)


def coloured_text(size: int) -> bytes:
    """Lines with a coloured word."""
    lines = text(size, stamped=False).split(b"\n")
    return b"\n".join(b"\x1b[32m%s\x1b[0m%s" % (each[:6], each[6:]) for each in lines)


def text(size: int, stamped: bool, width: int = 80) -> bytes:
    """Log lines of `width` bytes."""
    choose = random.Random(1)
    words = _words(choose)
    lines: list[bytes] = []
    have = 0
    while have < size:
        line = " ".join(choose.choices(words, k=width // 7))[: width - 1].encode()
        nanoseconds = len(lines) * 4000
        stamp = b"2026-01-01T00:00:%02d.%09dZ " % (nanoseconds // 10**9 % 60, nanoseconds % 10**9)
        lines.append((stamp if stamped else b"") + line + b"\n")
        have += len(line) + 1
    return b"".join(lines)


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def secrets(count: int) -> list[bytes]:
    choose = random.Random(2)
    alphabet = string.ascii_letters + string.digits + "/+'\"$ "
    return ["".join(choose.choices(alphabet, k=choose.randint(12, 60))).encode() for _ in range(count)]


def mask_rate(data: bytes, count: int) -> float:
    """MB/s of CPU time of the mask with so many secrets."""
    chunks = pieces(data)
    mask = SecretMasker(SecretPatterns(secrets(count)))
    begin = time.process_time()
    for chunk in chunks:
        mask.feed(chunk)
    mask.flush()
    return len(data) / 1e6 / (time.process_time() - begin)


def measure_mask() -> None:
    plain = text(64 * MEBIBYTE, stamped=False)
    for count in (0, 1, 20, 100):
        print(f"mask, {count:3d} secrets      {mask_rate(plain, count):8.0f} MB/s")
    size = 16 * MEBIBYTE
    for name, data in (
        ("JSON", json_text(size, 0)),
        ('JSON with \\" or \\n in 1 of 3', json_text(size, 0.3)),
        ('JSON with \\" or \\n in all', json_text(size, 1)),
        ("colours", coloured_text(size)),
    ):
        print(f"mask, 20 secrets, {name:28s} {mask_rate(data, 20):8.0f} MB/s")


def stamps_rate() -> float:
    """MB/s of taking the timestamps off, counted in output."""
    chunks = pieces(text(32 * MEBIBYTE, stamped=True))
    stamped = TimestampParser()
    begin = time.perf_counter()
    size = sum(len(stamped.feed(chunk).data) for chunk in chunks)
    return size / 1e6 / (time.perf_counter() - begin)


async def path_rate(folder: Path) -> tuple[float, float]:
    """MB/s of output from the stream to the archive, by the clock and by the CPU, with 20 secrets."""
    data = text(128 * MEBIBYTE, stamped=True)
    wall, cpu = await kept(folder, pieces(data), steps=1, values=secrets(20))
    return 128 * MEBIBYTE / 1e6 / wall, 128 * MEBIBYTE / 1e6 / cpu


async def kept(
    folder: Path, chunks: list[bytes], steps: int, values: list[bytes], cluster: type[FakeCluster] = FakeCluster
) -> tuple[float, float]:
    """Seconds (clock, CPU) to follow and archive the same log for so many steps, one after the other."""
    store = DirectoryStore(folder, b"key", "http://localhost")
    done: asyncio.Queue[Stream] = asyncio.Queue()
    keeper = LogCollector(cluster(chunks), store, time.monotonic, done.put_nowait)
    running = asyncio.create_task(keeper.run())
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(steps):
        keeper.follow(
            namespace="ns",
            run_uid="run-1",
            slug=f"s{number}",
            attempt=1,
            container="step",
            pod="p",
            pod_uid="u",
            secrets=values,
        )
        await done.get()
    found = time.perf_counter() - wall, time.process_time() - cpu
    running.cancel()
    await asyncio.wait({running})
    return found


async def read_rate(folder: Path) -> float:
    """MB/s of reading the archived log as text."""
    reader = LogReader(LogCollector(FakeCluster([]), store_of(folder), time.monotonic, print).hub, store_of(folder))
    begin, size = time.perf_counter(), 0
    async for piece in reader.text(Stream("ns", "run-1", "s0", 1, "step")):
        size += len(piece)
    return size / 1e6 / (time.perf_counter() - begin)


def store_of(folder: Path) -> DirectoryStore:
    return DirectoryStore(folder, b"key", "http://localhost")


class Endless(FakeCluster):
    """Serves a gibibyte that is nowhere as a whole."""

    async def stream_log(self, namespace: str, pod: str, container: str, **how: Any) -> AsyncGenerator[bytes, None]:
        for _ in range(1024):
            for chunk in self._chunks:
                yield chunk


async def large(folder: Path) -> None:
    """Keep a log of a gibibyte; prints by how many MiB the largest memory grew from after the first MiB on."""
    data = pieces(text(MEBIBYTE, stamped=True))
    await kept(folder / "small", data, 1, secrets(20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    await kept(folder / "large", data, 1, secrets(20), Endless)
    seconds = time.perf_counter() - begin
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = (folder / "large/logs/ns/run-1/s0/1.log").stat().st_size
    print(f"a log of 1 GiB         {grown:8.0f} MiB more memory than one of 1 MiB; {size / 1e6 / seconds:.0f} MB/s")


def flood(folder: Path) -> None:
    """Four steps that print 5,000 lines a second each for 10 s, in a sandbox: what is missing of them."""
    environment = {
        **os.environ,
        "C8S_RUNTIME": "process",
        **{f"XDG_{kind}_HOME": str(folder / kind) for kind in ("STATE", "CONFIG", "CACHE")},
    }
    outside = folder / "printed"
    outside.mkdir()
    script = (
        "import os, sys, time\n"
        "mine = open(sys.argv[1], 'w')\n"
        "begin = time.monotonic()\n"
        "for tick in range(500):\n"
        "    lines = ''.join(f'line {tick * 100 + n} of this step, to be kept as it is\\n' for n in range(100))\n"
        "    os.write(1, lines.encode()); mine.write(lines); mine.flush()\n"
        "    time.sleep(max(0, begin + (tick + 1) * 0.02 - time.monotonic()))\n"
        "print(f'{500 * 100 / (time.monotonic() - begin):.0f}', file=open(sys.argv[1] + '.rate', 'w'))\n"
    )
    (folder / "print.py").write_text(script)
    steps = [
        {"name": f"s{n}", "image": "none:1", "commands": [f"{sys.executable} {folder}/print.py {outside}/s{n}"]}
        for n in range(4)
    ]
    (folder / "flood.yaml").write_text(json.dumps({"version": "v1alpha1", "name": "flood", "steps": steps}))
    c8s = [sys.executable, "-P", "-m", "workbench"]
    done = subprocess.run(
        [*c8s, "run", str(folder / "flood.yaml"), "--no-source"], env=environment, capture_output=True, check=False
    )
    # The only run of the sandbox: its folder is named by its uid.
    [stored] = (folder / "STATE/c8s/default/store/logs/default").iterdir()
    lost = sum((outside / f"s{n}").read_bytes() != (stored / f"s{n}" / "1.log").read_bytes() for n in range(4))
    rate = sum(float((outside / f"s{n}.rate").read_text()) for n in range(4))
    lines = sum((stored / f"s{n}" / "1.log").read_bytes().count(b"\n") for n in range(4))
    seen = sum(b"of this step" in line for line in done.stdout.splitlines())
    print(
        f"4 steps, {rate:.0f} lines/s  {lines} lines archived, {lost} of 4 logs differ from what was printed; "
        f"`c8s run` showed {seen}"
    )


async def measure() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
    measure_mask()
    print(f"timestamps off         {stamps_rate():8.0f} MB/s")
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = await path_rate(Path(folder))
        print(f"whole path, 20 secrets {wall:8.0f} MB/s by the clock, {cpu:.0f} MB/s by the CPU")
        print(f"reading the archive    {await read_rate(Path(folder)):8.0f} MB/s")
    print(
        f"largest memory         {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MiB (the inputs too)"
    )
    for name, chunks in (("an empty log", []), ("3 lines", [text(200, stamped=True)])):
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = await kept(Path(folder), chunks, 500, [])
            print(f"a step with {name:12s} {wall / 500 * 1000:7.2f} ms, {cpu / 500 * 1000:.2f} ms of CPU")


def main() -> None:
    if sys.argv[1:] == ["--mask"]:
        measure_mask()
        return
    if sys.argv[1:] == ["--large"]:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(large(Path(folder)))
        return
    asyncio.run(measure())
    # In a process of its own, whose memory nothing else has grown.
    subprocess.run([sys.executable, __file__, "--large"], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    with tempfile.TemporaryDirectory() as folder:
        flood(Path(folder))


if __name__ == "__main__":
    main()
