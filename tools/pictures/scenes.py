"""What the pictures show: a list of runs with one that is running, a failed run, the editor, the dashboard."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

from controller.kube import PIPELINE_RUNS
from controller.kube.kubeconfig import connect
from tools.pictures.browser import dashboard
from tools.pictures.camera import TIMEOUT, Studio
from tools.pictures.client import WORKSPACE
from tools.pictures.fixed_times import EPOCH, created_at, with_fixed_times
from tools.pictures.project import SANDBOX, PictureError, Project
from workbench.client import Client
from workbench.client.models import Run
from workbench.sandbox import Sandboxes

_FAILED_STEP = "test (suite=text)"
_AFTER = timedelta(seconds=6)
"""From the creation of the newest run to the time that is shown."""
_MASKS = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": "2026-03-02 09:58:00 UTC",
    r"\bin 0\.\d{3}s\b": "in 0.001s",
    WORKSPACE: "/workspace/",
}


def prepare(project: Project) -> None:
    """Runs that succeed, then one of the project with a mistake in it."""
    for sample in ("hello", "artifacts", "services", "matrix", "tests"):
        project.run_sample(sample)
    project.run()
    project.run()
    # Words lose what follows an apostrophe: a test fails.
    project.edit("wordcount/text.py", r"(?:['’][^\W\d_]+)*", "")
    project.run(code=1)


async def shoot(project: Project, chromium: str) -> None:
    """Take all pictures."""
    async with Sandboxes().attach(SANDBOX) as endpoint:
        studio = Studio(endpoint, project)
        failed = project.runs[-1]
        await _failed_run(studio, failed)
        async with Client(endpoint) as client:
            await _fix_times(project, client)
            await _dashboard(chromium, await client.dashboard_address(), await client.run(failed))
        await _editor(studio)
        await _running(studio)


async def _failed_run(studio: Studio, run: str) -> None:
    now = created_at(len(studio.project.runs) - 1) + 10 * _AFTER
    async with studio.workbench(34, now, run) as camera:
        await camera.see("AssertionError", r"edit tests/test_text\.py")
        await camera.show_failing_line()
        await camera.take("failed-run")


async def _running(studio: Studio) -> None:
    """The list of runs, while some steps of one are running: they wait for a minute after each line."""
    process = studio.project.start_sample("fan-out", "--param", "pace=60")
    try:
        now = created_at(len(studio.project.runs) - 1) + _AFTER
        async with studio.workbench(40, now) as camera:
            await camera.see(r"fan-out-1.*\D1/12", r"part \d, line 1")
            await camera.take("workbench")
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate)


async def _editor(studio: Studio) -> None:
    studio.project.edit(".c8s.yaml", "dependsOn: [build]", "dependsOn: [biuld]")
    now = created_at(len(studio.project.runs) - 1) + _AFTER
    async with studio.workbench(30, now) as camera:
        await camera.see("wordcount-3")
        await camera.press("e")
        await camera.see("there is no step")
        await camera.press("f8")
        await camera.take("editor")


async def _fix_times(project: Project, client: Client) -> None:
    """Give the runs in the cluster their fixed times: the pages of the dashboard are made there.

    An operator writes the status of a run again when something else has changed it. So the controller stands still
    meanwhile, and is started anew, by the sandbox's supervisor, on what is there then.
    """
    status = await Sandboxes().status(SANDBOX)
    controller = next(each.pid for each in status.components if each.name == "controller")
    if controller is None:
        raise PictureError("the controller of the sandbox is not running")
    os.kill(controller, signal.SIGSTOP)
    try:
        async with connect(Sandboxes().kubeconfig(SANDBOX)) as cluster:
            for index, name in enumerate(project.runs):
                run = await cluster.get(PIPELINE_RUNS, name, "default")
                patch = {"status": with_fixed_times(name, run["status"], created_at(index))}
                await cluster.patch(PIPELINE_RUNS, name, patch, namespace="default", subresource="status")
    finally:
        os.kill(controller, signal.SIGKILL)
    async with asyncio.timeout(TIMEOUT):
        while (start := (await client.run(project.runs[-1])).start_time) is None or start > EPOCH + timedelta(days=1):
            await asyncio.sleep(0.05)


async def _dashboard(chromium: str, address: str, run: Run) -> None:
    step = run.step(_FAILED_STEP)
    if step is None or step.phase != "Failed":
        raise PictureError(f"{_FAILED_STEP} has not failed in {run.name}: adapt tools/pictures/scenes.py")
    async with dashboard(chromium, address) as browser:
        await browser.take("dashboard-run", f"runs/{run.name}", "AssertionError", _MASKS)
        await browser.take("dashboard-log", f"runs/{run.name}/steps/{step.slug}", "First differing", _MASKS)
