"""The agent as a pod runs it: a program in an isolated interpreter, against a fake of the API."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.waiting import wait_until_async

AGENT = Path(__file__).parents[3] / "controller" / "agent"
TOKEN = "very-secret-token"


class Workspaces:
    """The routes for the workspaces of failed steps."""

    def __init__(self) -> None:
        self.policy: dict[str, Any] = {"wanted": True, "limit": 10**9}
        self.sent: dict[str, Any] = {}
        self.reports: list[dict[str, Any]] = []

    def add_to(self, app: web.Application) -> None:
        route = "/api/v1/agent/workspaces/build/1"
        app.router.add_get(route, self._ask)
        app.router.add_post(route, self._upload)
        app.router.add_put(f"{route}/manifest", self._tell)

    async def _ask(self, _: web.Request) -> web.Response:
        return web.json_response(self.policy)

    async def _upload(self, request: web.Request) -> web.Response:
        self.sent = await request.json()
        return web.json_response({"url": "/objects/workspace"})

    async def _tell(self, request: web.Request) -> web.Response:
        self.reports.append(await request.json())
        return web.Response(status=204)


class FakeAgentApi:
    """The agent API, with objects that a test provides."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.uploads: dict[str, Any] = {}
        self.manifests: dict[str, Any] = {}
        self.caches: dict[str, str] = {}
        """Key -> digest of the archive."""
        self.cache_limit = 10**9
        self.fail = 0
        self.url = ""
        self.reports: list[dict[str, Any]] = []
        self.report_status = 204
        self.workspaces = Workspaces()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        self.workspaces.add_to(app)
        app.router.add_get("/api/v1/agent/{what:.+}", self._link)
        app.router.add_post("/api/v1/agent/artifacts/{slug}/{attempt}", self._upload)
        app.router.add_put("/api/v1/agent/artifacts/{slug}/{attempt}/manifest", self._manifest)
        app.router.add_post("/api/v1/agent/caches/lookup", self._cache)
        app.router.add_post("/api/v1/agent/caches", self._keep)
        app.router.add_put("/api/v1/agent/caches/manifest", self._kept)
        app.router.add_put("/api/v1/agent/reports/build/1", self._report)
        app.router.add_get("/objects/{what:.+}", self._get)
        app.router.add_put("/objects/{what:.+}", self._put)
        return app

    def serve(self, what: str, data: bytes, sha256: str | None = None) -> None:
        self.objects[what] = data
        self.digests[what] = sha256 or hashlib.sha256(data).hexdigest()

    async def _link(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"title": "no", "detail": "not your run"}, status=401)
        what = request.match_info["what"]
        if what not in self.objects:
            return web.json_response({"title": "Not found", "detail": f"no {what}"}, status=404)
        url = f"/objects/{what}?expires=1&signature=a%2Bb"
        url = url if what == "source" else self.url + url
        return web.json_response({"url": url, "sha256": self.digests[what], "size": len(self.objects[what])})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        assert "Authorization" not in request.headers
        assert request.query["signature"] == "a+b"
        if self.fail:
            self.fail -= 1
            return web.Response(status=503)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(self.objects[request.match_info["what"]])
        return response

    async def _put(self, request: web.Request) -> web.Response:
        if self.fail:
            self.fail -= 1
            return web.Response(status=503)
        self.objects[request.match_info["what"]] = await request.read()
        return web.Response(status=201)

    async def _cache(self, request: web.Request) -> web.Response:
        key = (await request.json())["key"]
        if key not in self.caches:
            return web.json_response({"title": "Not found"}, status=404)
        sha256 = self.caches[key]
        url = f"/objects/cache-{sha256}?signature=a%2Bb"
        return web.json_response({"url": url, "sha256": sha256, "size": len(self.objects[f"cache-{sha256}"])})

    async def _keep(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["size"] > self.cache_limit:
            return web.json_response({"title": "Too large", "detail": "too much"}, status=413)
        return web.json_response({"url": f"/objects/cache-{body['sha256']}"})

    async def _kept(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert len(self.objects[f"cache-{body['sha256']}"]) == body["size"]
        self.caches[body["key"]] = body["sha256"]
        return web.Response(status=204)

    async def _upload(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        self.uploads[slug] = await request.json()
        return web.json_response({"url": f"/objects/upload-{slug}"})

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append(await request.json())
        return web.Response(status=self.report_status)

    async def _manifest(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        assert f"upload-{slug}" in self.objects
        self.manifests[slug] = await request.json()
        return web.Response(status=204)


@pytest.fixture
async def api() -> AsyncIterator[FakeAgentApi]:
    found = FakeAgentApi()
    runner = web.AppRunner(found.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    yield found
    await runner.cleanup()


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
        await wait_until_async((self.gate / "gate").is_fifo, 20, what="the gate", interval=0.001)
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
            self.tell("begin")
            if code:
                self.tell(f"end {code}")
        elif code is None:
            await wait_until_async((self.gate / "opened").exists, 20, what="the gate to open", interval=0.001)
        process.send_signal(signal.SIGTERM)
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


@pytest.fixture
def pod(tmp_path: Path, api: FakeAgentApi) -> Pod:
    return Pod(tmp_path, api)


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("_", "/"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


async def test_source_and_artifacts_are_extracted_into_the_workspace(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(src_main=b"source", src_gen=b"old"))
    api.serve("artifacts/build", packed(src_gen=b"generated"))
    code, out = await pod.run(C8S_FETCH_SOURCE="1", C8S_FETCH_ARTIFACTS="build")
    assert code == 0, out
    assert (pod.workspace / "src/main").read_bytes() == b"source"
    assert (pod.workspace / "src/gen").read_bytes() == b"generated"
    assert "fetched the source: 2 files" in out


async def test_download_is_retried(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    api.fail = 2
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert code == 0
    assert "retrying in" in out


async def test_missing_artifacts_and_damaged_archives_are_reported(api: FakeAgentApi, pod: Pod) -> None:
    code, out = await pod.run(C8S_FETCH_ARTIFACTS="test")
    assert (code, "no artifacts/test" in out) == (3, True)
    api.serve("source", gzip.compress(b"x" * 512))
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert (code, "damaged" in out) == (3, True)


async def test_artifacts_are_stored_after_the_end_of_the_step(api: FakeAgentApi, pod: Pod) -> None:
    (pod.workspace / "dist").mkdir()
    (pod.workspace / "dist" / "a.txt").write_bytes(b"content")
    code, out = await pod.upload("dist/**/*")
    assert code == 0, out
    archive = api.objects["upload-build"]
    digest = hashlib.sha256(archive).hexdigest()
    assert api.uploads["build"] == {"size": len(archive), "sha256": digest}
    mode = (pod.workspace / "dist" / "a.txt").stat().st_mode & 0o777
    assert api.manifests["build"] == {
        "files": [{"path": "dist/a.txt", "size": 7, "sha256": hashlib.sha256(b"content").hexdigest(), "mode": mode}],
        "archive": {"size": len(archive), "sha256": digest},
    }
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        assert found.getnames() == ["dist/a.txt"]


async def test_upload_is_retried(api: FakeAgentApi, pod: Pod) -> None:
    api.fail = 1
    (pod.workspace / "a").write_bytes(b"a")
    code, out = await pod.upload("a")
    assert code == 0, out
    assert "build" in api.manifests


async def test_glob_without_a_match_fails_and_commits_nothing(api: FakeAgentApi, pod: Pod) -> None:
    code, out = await pod.upload("dist/*")
    assert code == 1
    assert "dist/*" in out
    assert api.manifests == {}


async def test_optional_glob_may_match_nothing(api: FakeAgentApi, pod: Pod) -> None:
    optional = json.dumps(["screenshots/**", "a.txt"])
    (pod.workspace / "a.txt").write_text("a")
    code, output = await pod.upload(C8S_OPTIONAL_ARTIFACTS=optional)
    assert (code, [file["path"] for file in api.manifests["build"]["files"]]) == (0, ["a.txt"]), output


async def test_rejected_token_is_reported_without_showing_it(api: FakeAgentApi, pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}-of-another-run")
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert (code, "not your run" in out) == (3, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"C8S_API_URL": ""}, "C8S_API_URL"),
        ({"C8S_API_URL": "ftp://x"}, "C8S_API_URL"),
        ({"C8S_TOKEN_FILE": "/nope"}, "/nope"),
        ({"C8S_WORKSPACE": "/nope"}, "/nope"),
        ({"C8S_GATE": ""}, "C8S_GATE"),
        ({"C8S_GATE": "/nope"}, "/nope"),
    ],
)
async def test_wrong_settings_have_an_exit_code_of_their_own(pod: Pod, change: dict[str, str], named: str) -> None:
    code, out = await ended(await pod.start(**change))
    assert (code, named in out) == (2, True)


class Step:
    """A step with caches."""

    def __init__(self, pod: Pod, *caches: dict[str, Any]) -> None:
        self.pod = pod
        self.environment = {"C8S_CACHES": json.dumps(caches)}
        self.agent: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        self.agent = await self.pod.start(**self.environment)
        assert await self.pod.pass_gate() == "open"

    async def end(self, exit_code: int | None = 0) -> str:
        """What the agent has printed."""
        assert self.agent is not None
        if exit_code is not None:
            self.pod.tell("begin")
            self.pod.tell(f"end {exit_code}")
        self.agent.send_signal(signal.SIGTERM)
        code, out = await ended(self.agent)
        assert code == 0, out
        return out


async def test_cache_is_saved_by_one_step_and_restored_for_the_next(api: FakeAgentApi, pod: Pod) -> None:
    step = Step(pod, {"key": "go-{{hash go.*}}", "paths": [".cache", "missing"]})
    (pod.workspace / "go.sum").write_text("one")
    await step.begin()
    (pod.workspace / ".cache").mkdir()
    (pod.workspace / ".cache" / "module").write_text("downloaded")
    out = await step.end()
    assert "not found" in out
    assert "saved 1 file," in out
    (pod.workspace / ".cache" / "module").unlink()
    await step.begin()
    assert (pod.workspace / ".cache" / "module").read_text() == "downloaded"
    out = await step.end()
    assert "1 file," in out
    assert "saved" not in out, "a restored cache is not saved again"
    (pod.workspace / "go.sum").write_text("two")
    await step.begin()
    assert "not found" in await step.end(1)
    assert len(api.caches) == 1


@pytest.mark.parametrize("exit_code", [1, 143, None])
async def test_unsuccessful_step_saves_no_cache(api: FakeAgentApi, pod: Pod, exit_code: int | None) -> None:
    step = Step(pod, {"key": "k", "paths": ["json"]})
    await step.begin()
    await step.end(exit_code)
    assert api.caches == {}


async def test_cache_errors_do_not_fail_the_step(api: FakeAgentApi, pod: Pod) -> None:
    caches: list[dict[str, Any]] = [
        {"key": "no-{{hash go.sum}}", "paths": ["json"]},
        {"key": "nothing", "paths": ["missing"]},
        {"key": "broken", "paths": ["json"]},
        {"key": "large", "paths": ["json"]},
        {"key": "out", "paths": ["../token"]},
    ]
    step = Step(pod, *caches)
    api.caches["broken"] = "0" * 64
    api.objects[f"cache-{'0' * 64}"] = packed(json_new=b"never")
    api.cache_limit = 1
    await step.begin()
    assert not (pod.workspace / "json" / "new").exists()
    out = await step.end()
    assert "cache no-{{hash go.sum}}: not used: {{hash go.sum}} matches no file" in out
    assert "cache broken: not used: the download of the cache is damaged" in out
    assert "cache nothing: not saved: none of its paths exists" in out
    assert "cache large: not saved: POST caches was refused with 413: too much" in out
    assert "cache out: not saved: none of its paths exists" in out
    assert list(api.caches) == ["broken"]


async def test_step_that_goes_on_is_reported_when_it_has_begun(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    assert api.reports == [], "it may have to wait for its image"
    pod.tell("begin")
    await wait_until_async(lambda: api.reports, 20, what="the report of the begin")
    assert set(api.reports[0]) == {"began"}
    code, out = await pod.end_of(agent, "end 3")
    assert (code, out) == (0, "")
    left = json.loads(pod.message.read_text())
    assert (left["began"], left["code"]) == (api.reports[0]["began"], 3)
    assert left["began"] < left["ended"]


async def test_artifacts_are_stored_and_reported_before_the_kubelet_notices_the_end(
    api: FakeAgentApi, pod: Pod
) -> None:
    (pod.workspace / "a").write_bytes(b"a")
    agent = await pod.start(C8S_ARTIFACTS='["a"]')
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: any("ended" in each for each in api.reports), 20, what="the report of the end")
    assert "build" in api.manifests
    assert (api.reports[-1]["code"], api.reports[-1]["stored"]) == (0, True)
    assert agent.returncode is None, "a sidecar that ends would be started again"
    agent.send_signal(signal.SIGTERM)
    assert (await ended(agent))[0] == 0


async def test_end_that_the_kubelet_notices_at_once_is_not_reported(api: FakeAgentApi, pod: Pod) -> None:
    code, _ = await pod.run("0")
    assert (code, api.reports) == (0, [])
    assert json.loads(pod.message.read_text())["code"] == 0


async def test_missing_artifacts_are_reported_and_fail_the_agent_at_the_end(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start(C8S_ARTIFACTS='["missing"]')
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: any("ended" in each for each in api.reports), 20, what="the report of the end")
    assert api.reports[-1]["stored"] is False
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "c8s agent: the artifacts glob missing matches no file" in out) == (1, True)


@pytest.mark.parametrize("status", [409, 503])
async def test_report_that_is_not_taken_fails_nothing(api: FakeAgentApi, pod: Pod, status: int) -> None:
    api.report_status = status
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: api.reports, 20, what="a report")
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "is not reported" in out) == (0, status == 409)


async def test_forged_reports_do_not_disturb_the_agent(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    for line in (
        "end 0",
        "",
        "x" * 100_000,
        "end x",
        "end 1234",
        "end -1",
        "begin",
        "begin",
        "end \x00",
        "end 7",
        "end 0",
    ):
        pod.tell(line)
    agent.send_signal(signal.SIGTERM)
    code, _ = await ended(agent)
    assert (code, json.loads(pod.message.read_text())["code"]) == (0, 7)


async def test_agent_that_was_ended_while_it_fetched_refuses_the_step(api: FakeAgentApi, pod: Pod) -> None:
    """It would unpack over what the first one left."""
    pod.gate.mkdir()
    (pod.gate / "fetching-source").write_text("2026-11-29T10:00:00Z")
    agent = await pod.start(again=True, C8S_FETCH_SOURCE="1")
    assert await pod.pass_gate() == "refused"
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "was ended while it fetched" in out) == (3, True)


async def test_agent_that_is_started_again_beside_the_step_fetches_nothing(api: FakeAgentApi, pod: Pod) -> None:
    first = await pod.start()
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    await wait_until_async((pod.gate / "began").exists, 20, what="the begin")
    first.kill()
    await first.wait()
    (pod.workspace / "a").write_bytes(b"a")
    second = await pod.start(again=True, C8S_FETCH_SOURCE="1", C8S_ARTIFACTS='["a"]')

    def told() -> bool:
        # What is written while no agent listens is lost.
        pod.tell("end 0")
        return bool(api.reports and "ended" in api.reports[-1])

    await wait_until_async(told, 20, what="the report of the end")
    second.send_signal(signal.SIGTERM)
    code, out = await ended(second)
    assert (code, "fetched" in out, "build" in api.manifests) == (0, False, True)


async def test_agent_with_services_behind_it_ends_when_it_cannot_fetch(api: FakeAgentApi, pod: Pod) -> None:
    """They start once it has fetched, and the step after them; so nobody would ask it to end."""
    environment = {"C8S_FETCH_SOURCE": "1", "C8S_GATED_SERVICES": "1"}
    code, out = await ended(await pod.start(**environment))
    assert (code, "no source" in out) == (3, True)
    code, out = await ended(await pod.start(again=True, **environment))
    assert (code, "no source" in out) == (3, True), "also when it is started again"


async def test_agent_that_is_stopped_while_it_fetches_ends_at_once(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    api.fail = 1000
    agent = await pod.start(C8S_FETCH_SOURCE="1")
    await wait_until_async(lambda: api.fail < 1000, 20, what="the first try")
    agent.send_signal(signal.SIGTERM)
    assert (await ended(agent))[0] == 143


async def held(api: FakeAgentApi, at: str | None) -> None:
    await wait_until_async(lambda: api.reports and api.reports[-1].get("held") == at, 20, what=f"a hold {at}")


async def test_step_is_held_before_its_commands_until_it_is_continued(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    agent = await pod.start(C8S_FETCH_SOURCE="1", C8S_HOLD="before,failed")
    await held(api, "before")
    assert (pod.workspace / "a").exists(), "who enters it finds its files"
    assert [path.name for path in sorted(pod.gate.glob("hold-*"))] == ["hold-before", "hold-failed"]
    assert (await pod.go_on("retry"))[0] == 4, "nothing has run yet"
    assert (await pod.go_on("go"))[0] == 0
    assert (await pod.go_on("go"))[0] == 4, "it is not held any more"
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    await held(api, None)
    code, _ = await pod.end_of(agent, "end 0")
    assert code == 0


@pytest.mark.parametrize("action", ["go", "retry", "accept"])
async def test_step_is_held_when_it_failed(api: FakeAgentApi, pod: Pod, action: str) -> None:
    agent = await pod.start(C8S_HOLD="failed")
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("held 3")
    await held(api, "failed")
    began = api.reports[-1]["began"]
    assert (api.reports[-1]["code"], "ended" in api.reports[-1]) == (3, False)
    assert (await pod.go_on(action))[0] == 0
    assert await pod.pass_gate() == action
    if action == "retry":
        pod.tell("begin")
        await held(api, None)
        assert api.reports[-1]["began"] > began, "its time limit counts from there"
    code, _ = await pod.end_of(agent, "end 0")
    assert (code, json.loads(pod.message.read_text())["code"]) == (0, 0)


async def test_hold_outlives_its_agent(api: FakeAgentApi, pod: Pod) -> None:
    first = await pod.start(C8S_HOLD="before")
    await held(api, "before")
    first.kill()
    await first.wait()
    api.reports.clear()
    second = await pod.start(again=True, C8S_HOLD="before")
    await held(api, "before")
    assert (await pod.go_on("go"))[0] == 0
    assert await pod.pass_gate() == "open"
    code, _ = await pod.end_of(second, "begin")
    assert code == 0
