"""The agent as a process, beside which a test acts as the step."""

import asyncio
import io
import json
import os
import shutil
import signal
import sys
import tarfile
from pathlib import Path

from tests.integration.agent.fake_api import TOKEN, FakeAgentApi
from tests.support.waiting import wait_until_async

AGENT = Path(__file__).parents[3] / "controller" / "agent"


class Pod:
    """A workspace, a token, a gate, the agent as a process, and a test that acts as the step."""

    def __init__(self, folder: Path, api: FakeAgentApi) -> None:
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        # Folders of these names in someone's workspace must never be imported.
        for name in ("json", "socket", "controller", "command"):
            (self.workspace / name).mkdir()
            (self.workspace / name / "__init__.py").write_text("raise SystemExit('imported from the workspace')")
        self.role = "step"
        self.gate = folder / "gate"
        self.message = folder / "message"
        (folder / "token").write_text(f"{TOKEN}\n")
        self.environment = {
            "C8S_API_URL": api.url,
            "C8S_TOKEN_FILE": str(folder / "token"),
            "C8S_WORKSPACE": str(self.workspace),
            "C8S_GATE": str(self.gate),
            "C8S_MESSAGE_FILE": str(self.message),
            "C8S_ARTIFACTS": "[]",
            "C8S_STEP_SLUG": "build",
            "C8S_ATTEMPT": "1",
        }

    async def start(self, *, again: bool = False, **environment: str) -> asyncio.subprocess.Process:
        """Start the agent, `again` where an earlier one has ended."""
        if not again:
            shutil.rmtree(self.gate, ignore_errors=True)
            self.gate.mkdir()
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(AGENT), self.role),
            env=self.environment | environment,
            cwd=self.workspace,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def pass_gate(self) -> str:
        """Wait at the gate, as the first process of a step does; what it says."""
        await wait_until_async((self.gate / "gate").is_fifo, what="the gate", interval=0.001)
        return (await asyncio.to_thread(_read_line, self.gate / "gate")).strip()

    def tell(self, line: str) -> None:
        """Report, as the first process of a step does."""
        descriptor = os.open(self.gate / "report", os.O_RDWR)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    async def run(self, code: str | None = "0", **environment: str) -> tuple[int, str]:
        """The agent beside a step that ends with this code: "" if it is killed, None if it never starts."""
        process = await self.start(**environment)
        return await self.end(process, code)

    async def end(self, process: asyncio.subprocess.Process, code: str | None = "0") -> tuple[int, str]:
        if code is not None and await self.pass_gate() == "open":
            # So that the agent sees all at once, however long this process has to wait in between.
            process.send_signal(signal.SIGSTOP)
            self.tell("begin")
            if code:
                self.tell(f"end {code}")
        elif code is None:
            await wait_until_async((self.gate / "opened").exists, what="the gate to open", interval=0.001)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        return await ended(process)

    async def end_of(self, process: asyncio.subprocess.Process, line: str) -> tuple[int, str]:
        self.tell(line)
        process.send_signal(signal.SIGTERM)
        return await ended(process)

    async def go_on(self, action: str) -> tuple[int, str]:
        """Continue a held step, by a process beside the agent."""
        return await ended(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(AGENT), "continue", action),
                env=self.environment,
                cwd=self.workspace,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        )

    async def upload(self, *globs: str, code: str | None = "0", **environment: str) -> tuple[int, str]:
        return await self.run(code, **{"C8S_ARTIFACTS": json.dumps(globs), **environment})


def _read_line(pipe: Path) -> str:
    with pipe.open() as file:
        return file.readline()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    out, _ = await process.communicate()
    assert process.returncode is not None
    assert TOKEN not in out.decode()
    return process.returncode, out.decode()


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("_", "/"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
