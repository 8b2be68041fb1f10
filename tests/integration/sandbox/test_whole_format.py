"""One pipeline with nearly every field of the format."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.live import C8s

EVERYTHING = """\
version: v1alpha1
name: everything
description: nearly every field
x-list: &list
  - mkdir -p out
  - 'echo "$MATRIX_OS" > "out/{{matrix.os}}"'
branches: [main, "release/*"]
events: [push, tag]
params: [{name: target, default: dev, options: [dev, prod]}]
env: [{name: SHARED, value: "of the pipeline"}]
matrix: {dimensions: {python: [3.11, 3.10], os: [linux, mac]}, exclude: [{python: 3.10}]}
timeout: 10m
maxParallel: 2
retryPolicy: {maxRetries: 0}
keepOnFailure: true
concurrency: {group: "{{run.branch}}-{{params.target}}"}
steps:
  - name: prepare
    image: "busybox:{{matrix.python}}"
    commands:
      - 'echo "$SHARED, $OWN, $PARAM_TARGET, $MATRIX_PYTHON, $MATRIX_OS, $C8S_STEP, $BRANCH"'
      - *list
    env: {OWN: "for {{params.target}} on {{run.branch}}"}
    artifacts: ["out/*", {path: "none-*", optional: true}]
  - name: gather
    image: busybox:1
    dependsOn: [prepare]
    workingDir: sub
    matrix: {dimensions: {part: [a, b]}}
    retryPolicy: {maxRetries: 1, backoffSeconds: 0}
    secrets: [{secretRef: vault, key: word}, {secretRef: vault, key: word, file: dir/word}]
    cache: [{key: "c-{{matrix.part}}-{{hash sub/*}}", paths: [.cache]}]
    services: [{name: idle, image: busybox:1, commands: [touch up, sleep 60], ready: {exec: [test, -e, up]}}]
    resources: {cpu: 100m, memory: 64Mi}
    commands:
      - cat file "../out/$MATRIX_OS"
      - 'test "$word" = "$(cat "$C8S_SECRETS/dir/word")"'
      - mkdir -p ../.cache && echo x > ../.cache/x
      - 'test "$C8S_ATTEMPT" = 2'
  - {name: may-fail, image: "busybox:1", commands: [exit 3], allowFailure: true, keepOnFailure: false}
  - {name: too-slow, image: "busybox:1", commands: [sleep 30], timeout: 1s, allowFailure: true}
  - {name: tagged, image: "busybox:1", commands: ["true"], conditional: {event: tag}}
  - name: after
    image: busybox:1
    commands: ['a=(1 2); [[ "${#a[@]}" == 2 ]]']
    dependsOn: [gather]
    conditional: {when: always, branch: "ma*"}
    shell: bash
    description: an array of bash
  - {name: rescue, image: "busybox:1", commands: ["true"], dependsOn: [gather], conditional: {when: failure}}
"""


def test_pipeline_with_every_field_runs(c8s: C8s, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("from the tree\n")
    (tmp_path / ".c8s.yaml").write_text(EVERYTHING)
    c8s("secrets", "set", "vault", "word", stdin="swordfish")
    out = c8s("run", cwd=tmp_path).stdout
    name = out.split()[1]
    status = json.loads(c8s("runs", name, "-o", "json").stdout)["status"]
    steps: dict[str, dict[str, Any]] = {step["name"]: step for step in status["steps"]}

    def of(step: str, *more: str) -> list[dict[str, Any]]:
        cells = [", ".join([f"python=3.11, os={system}", *more]) for system in ("linux", "mac")]
        return [steps[f"{step} ({cell})"] for cell in cells]

    assert len(steps) == 7 * 2 + 2, "what is excluded is not there, and the step's own matrix doubles one step"
    assert {step["phase"] for step in of("prepare") + of("gather", "part=a") + of("gather", "part=b")} == {"Succeeded"}
    assert {len(step["attempts"]) for step in of("gather", "part=b")} == {2}
    assert {step["message"] for step in of("may-fail")} == {"exit code 3"}
    assert not any("kept" in step["attempts"][0] for step in of("may-fail"))
    assert all(step["attempts"][0]["kept"]["bytes"] > 0 for step in of("too-slow"))
    assert {step["message"] for step in of("too-slow")} == {"stopped after 1s, its timeout"}
    assert "firstFailure" not in of("too-slow")[0], "the shell's word for being stopped is no reason"
    assert {step["reason"] for step in of("tagged") + of("rescue")} == {"ConditionNotMet"}
    assert {step["phase"] for step in of("after")} == {"Succeeded"}
    assert (status["phase"], status["group"]) == ("Succeeded", "main-dev")
    log = c8s("logs", name, "prepare (python=3.11, os=mac)").stdout
    assert log == "of the pipeline, for dev on main, dev, 3.11, mac, prepare (python=3.11, os=mac), main\n"
    assert c8s("logs", name, "gather (python=3.11, os=mac, part=b)").stdout == "from the tree\nmac\n"
    fetched = c8s("logs", name, "gather (python=3.11, os=mac, part=b)", "--container", "agent").stdout
    assert "cache c-b-" in fetched, "told whether it was there: the same step of linux may have kept it by then"
