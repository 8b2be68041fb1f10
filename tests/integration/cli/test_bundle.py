"""`c8s export` and `c8s open` as a user calls them, on a sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

from tests.live import C8s, write_pipeline
from tests.support.waiting import LONGEST, wait_until
from workbench.bundle.controller import BundleController

STEPS = [
    '{name: make, image: "busybox:1.36", commands: ["echo $TOKEN is masked; echo hello > out.txt"], '
    "artifacts: [out.txt], secrets: [{secretRef: bundled, key: token, envVar: TOKEN}]}",
    '{name: fail, image: "busybox:1.36", dependsOn: [make], commands: ["echo AssertionError; exit 3"]}',
]


def has_last_events(c8s: C8s, file: Path) -> bool:
    """Export again; whether it has the events that come last, which may be later than the end of the run."""
    c8s("export", file.stem, "--force", cwd=file.parent)
    with zipfile.ZipFile(file) as archive:
        found = {event["reason"] for event in json.loads(archive.read("events.json"))["items"]}
    return found >= {"Completed", "BackoffLimitExceeded", "StepFailed", "Failed"}


def test_a_failed_run_is_exported_masked_and_whole(c8s: C8s, tmp_path: Path) -> None:
    c8s("secrets", "set", "bundled", "token", stdin="very-secret-value")
    write_pipeline(tmp_path, STEPS, "bundled")
    c8s("run", cwd=tmp_path, expect=1)
    said = c8s("export", "bundled-1", cwd=tmp_path)
    file = tmp_path / "bundled-1.c8srun"
    assert "open it with: c8s open bundled-1.c8srun" in said.stdout
    assert "exists" in c8s("export", "bundled-1", cwd=tmp_path, expect=2).stderr
    wait_until(lambda: has_last_events(c8s, file), what="the last events of the run and its Jobs")
    first = file.read_bytes()
    C8s(c8s.home, {**c8s.more, "TZ": "Asia/Kathmandu"})("export", "bundled-1", "--force", cwd=tmp_path)
    assert file.read_bytes() == first
    with zipfile.ZipFile(file) as archive:
        assert not [name for name in archive.namelist() if b"very-secret-value" in archive.read(name)]
    assert sorted(each.name for each in tmp_path.iterdir()) == [".c8s.yaml", "bundled-1.c8srun"]
    with BundleController(file) as bundle:
        assert [step.phase for step in bundle.only_run.steps] == ["Succeeded", "Failed"]
        assert len(bundle.manifest.files) == 1
        assert bundle.only_run.definition is not None
        (chunk,) = next(log for log in bundle.manifest.logs if (log.step, log.container) == ("make", "step")).chunks
        assert b"*** is masked" in bundle._archive.read(chunk.entry, chunk.bytes)
    c8s("export", "bundled-1", "--html", cwd=tmp_path)
    page = (tmp_path / "bundled-1.html").read_text()
    assert "AssertionError" in page
    assert "very-secret-value" not in page
    # Without a terminal, without a sandbox.
    elsewhere = C8s(tmp_path / "elsewhere")
    elsewhere.home.mkdir()
    elsewhere("export", str(file), "--html", "-o", "page.html")
    assert "AssertionError" in (elsewhere.home / "page.html").read_text()
    assert "needs an interactive terminal" in elsewhere("open", str(file), expect=2).stderr
    elsewhere("export", str(file), "--cast", "-o", "run.cast")
    header = json.loads((elsewhere.home / "run.cast").read_text().splitlines()[0])
    assert (header["version"], header["title"]) == (2, "bundled-1")
    assert "exclude each other" in elsewhere("export", str(file), "--cast", "--html", expect=2).stderr
    assert not (elsewhere.home / "state").exists()


def test_a_run_that_hangs_is_exported_as_it_is(c8s: C8s, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    command = f"echo waiting for the moon; while [ ! -e {gate} ]; do sleep 0.1; done"
    write_pipeline(tmp_path, [f'{{name: hang, image: "busybox:1.36", commands: ["{command}"]}}'], "hanging")
    running = c8s.start("run", cwd=tmp_path)
    try:
        wait_until(lambda: "waiting for the moon" in c8s("logs", "hanging-1", cwd=tmp_path, expect=None).stdout)
        said = c8s("export", "hanging-1", cwd=tmp_path)
        assert "the run has not ended" in said.stderr
    finally:
        gate.touch()
        running.communicate(timeout=LONGEST)
    with BundleController(tmp_path / "hanging-1.c8srun") as bundle:
        assert [step.phase for step in bundle.only_run.steps] == ["Running"]
        assert bundle.manifest.as_of is not None
    c8s("export", "hanging-1.c8srun", "--html", cwd=tmp_path)
    assert "waiting for the moon" in (tmp_path / "hanging-1.html").read_text()
    c8s("export", "hanging-1.c8srun", "--cast", cwd=tmp_path)
    assert "waiting for the moon" in (tmp_path / "hanging-1.cast").read_text()


def test_what_can_not_be_exported_is_said(c8s: C8s, tmp_path: Path) -> None:
    assert "absent-1" in c8s("export", "absent-1", cwd=tmp_path, expect=1).stderr
    assert "no folder" in c8s("export", "absent-1", "-o", "no/where", cwd=tmp_path, expect=2).stderr
    assert "is a folder" in c8s("export", "absent-1", "-o", ".", cwd=tmp_path, expect=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_no_file(c8s: C8s, tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 40 ]; do head -c 400000 /dev/urandom | base64; i=$((i+1)); done"
    steps = [f'{{name: talk, image: "busybox:1.36", commands: ["{script}"]}}']
    write_pipeline(tmp_path, steps, "long")
    c8s("run", cwd=tmp_path)
    target = tmp_path / "out"
    target.mkdir()
    exporting = subprocess.Popen(
        c8s.command("export", "long-1"), cwd=target, env=c8s.environment(), stderr=subprocess.DEVNULL
    )
    wait_until(lambda: any(target.iterdir()), what="the export has begun")
    os.kill(exporting.pid, signal.SIGINT)
    code = exporting.wait(LONGEST)
    left = [each.name for each in target.iterdir()]
    assert (code, left) in ((130, []), (0, ["long-1.c8srun"]), (130, ["long-1.c8srun"]))
    if left:
        # It was quicker, and the file is whole.
        with BundleController(target / "long-1.c8srun") as bundle:
            assert [step.phase for step in bundle.only_run.steps] == ["Succeeded"]
