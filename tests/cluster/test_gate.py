"""Gates, reported ends and breakpoints on a real kubelet, which notices the end of a container late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import WAIT_SECONDS, Program
from tests.cluster.test_runs import run, started
from tests.live import write_pipeline
from tests.support.waiting import wait_until

BUSYBOX = "image: 'busybox:1.36'"
OPERATORS = ("-n", "c8s-system", "deployment/c8s-operator")


def steps_of(cluster: Program, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster("runs", name, "-o", "json").stdout)["status"].get("steps") or []
    return found


def wait_for(cluster: Program, name: str, step: int, field: str, value: str) -> dict[str, Any]:
    """The status of a step, once this field of it has this value."""

    def reached() -> dict[str, Any] | None:
        steps = steps_of(cluster, name)
        return steps[step] if len(steps) > step and steps[step][field] == value else None

    found: dict[str, Any] = wait_until(reached, WAIT_SECONDS, what=f"{field} {value} of step {step} of {name}")
    return found


def test_shell_opens_in_a_running_step(cluster: Program, tmp_path: Path) -> None:
    name = started(cluster, tmp_path, f"{{name: talk, {BUSYBOX}, env: {{A: b}}, commands: ['sleep 120']}}")
    wait_for(cluster, name, 0, "phase", "Running")
    assert cluster("shell", name, "talk", "sh", "-c", "echo $A; exit 3", expect=3).stdout == "b\n"
    cluster("cancel", name)


def test_end_of_a_step_is_told_and_confirmed(cluster: Program, tmp_path: Path) -> None:
    out = run(
        cluster,
        tmp_path,
        f"{{name: one, {BUSYBOX}, commands: ['sleep 2', 'echo made > made'], artifacts: [made]}}",
        f"{{name: two, {BUSYBOX}, commands: ['cat made'], dependsOn: [one]}}",
    )
    name = out.split()[1]
    job = json.loads(cluster.kubectl("get", "job", f"{name}--one-1", "-o", "json"))
    report = json.loads(job["metadata"]["annotations"]["c8s.dev/agent-report"])
    assert (report["code"], report["stored"]) == (0, True)
    for step in steps_of(cluster, name):
        attempt = step["attempts"][0]
        assert "unconfirmed" not in attempt
        assert "reportedExitCode" not in attempt


def test_step_that_forges_its_end_fails_all_the_same(cluster: Program, tmp_path: Path) -> None:
    forge = (
        f"{{name: forge, {BUSYBOX}, artifacts: [], keepOnFailure: true, "
        f'commands: ["echo \'end 0\' 1<>/var/run/c8s-gate/report", "sleep 20", "exit 5"]}}'
    )
    after = f"{{name: after, {BUSYBOX}, commands: ['true'], dependsOn: [forge]}}"
    out = run(cluster, tmp_path, forge, after, expect=1)
    forged, followed = steps_of(cluster, out.split()[1])
    assert (forged["phase"], forged["reason"], forged["attempts"][0]["reportedExitCode"]) == ("Failed", "ExitCode", 0)
    assert followed["phase"] == "Succeeded"


def test_step_cannot_change_the_volume_of_its_gate(cluster: Program, tmp_path: Path) -> None:
    gate = "/var/run/c8s-gate"
    tries = (f"touch {gate}/hold-failed", f"rm {gate}/gate", f"mkfifo {gate}/other")
    commands = json.dumps([f"if {each}; then exit 9; fi" for each in tries])
    run(cluster, tmp_path, f"{{name: try, {BUSYBOX}, keepOnFailure: true, commands: {commands}}}")


@pytest.mark.parametrize(("action", "code"), [("--retry", 0), ("--accept", 0), ("", 1)])
def test_failed_step_is_held_entered_and_continued(cluster: Program, tmp_path: Path, action: str, code: int) -> None:
    step = f"{{name: test, {BUSYBOX}, commands: ['test -e mended']}}"
    with cluster.start(
        "run", "--no-source", "--break", "test:failed", str(write_pipeline(tmp_path, [step]))
    ) as running:
        assert running.stdout is not None
        name = ""
        for line in running.stdout:
            name = name or (line.split()[1] if line.startswith("run ") else "")
            if "held" in line:
                break
        held = wait_for(cluster, name, 0, "reason", "Held")
        assert held["attempts"][0]["held"] == "failed"
        cluster("shell", name, "test", "touch", "mended")
        cluster("continue", *([action] if action else []), name, "test")
        running.stdout.read()
    assert running.returncode == code


def test_next_step_waits_at_its_gate_and_begins_at_once(cluster: Program, tmp_path: Path) -> None:
    name = started(
        cluster,
        tmp_path,
        f"{{name: first, {BUSYBOX}, commands: ['sleep 20', 'echo made > made'], artifacts: [made]}}",
        f"{{name: second, {BUSYBOX}, commands: ['cat made'], dependsOn: [first]}}",
        f"{{name: third, {BUSYBOX}, commands: ['true'], dependsOn: [second]}}",
        f"{{name: fourth, {BUSYBOX}, commands: ['true'], dependsOn: [third]}}",
    )
    waiting = wait_for(cluster, name, 1, "reason", "WaitingAtGate")
    assert "attempts" not in waiting
    pods = ("get", "pods", "-l", f"c8s.dev/run={name},c8s.dev/step=second", "-o", "jsonpath={.items[*].status.phase}")
    wait_until(lambda: cluster.kubectl(*pods) == "Running", WAIT_SECONDS, what="its pod")
    assert steps_of(cluster, name)[3]["reason"] == "WaitingForSteps", "two are made ahead"
    wait_until(lambda: cluster.phase(name) in ("Succeeded", "Failed"), WAIT_SECONDS, what="the end of the run")
    steps = steps_of(cluster, name)
    assert [step["phase"] for step in steps] == ["Succeeded"] * 4
    assert [step["attempts"][0].get("early", False) for step in steps] == [False, True, True, True]
    assert cluster("logs", name, "second").stdout == "made\n"
    jobs = cluster.kubectl("get", "jobs", "-l", f"c8s.dev/run={name}", "-o", "name").split()
    assert len(jobs) == 4


def test_step_that_turns_out_not_to_run_leaves_nothing(cluster: Program, tmp_path: Path) -> None:
    name = started(
        cluster,
        tmp_path,
        f"{{name: first, {BUSYBOX}, commands: ['sleep 10', 'exit 3']}}",
        f"{{name: second, {BUSYBOX}, commands: ['echo ran'], dependsOn: [first]}}",
    )
    wait_for(cluster, name, 1, "reason", "WaitingAtGate")
    wait_until(lambda: cluster.phase(name) == "Failed", WAIT_SECONDS, what="the end of the run")
    skipped = steps_of(cluster, name)[1]
    assert (skipped["phase"], "attempts" in skipped) == ("Skipped", False)
    left = ("get", "jobs,pods", "-l", f"c8s.dev/run={name},c8s.dev/step=second", "-o", "name")
    wait_until(lambda: cluster.kubectl(*left) == "", WAIT_SECONDS, what="the removal of its pod")


def test_step_with_a_secret_is_not_made_ahead(cluster: Program, tmp_path: Path) -> None:
    cluster("secrets", "set", "early", "word", stdin="correct horse battery staple")
    name = started(
        cluster,
        tmp_path,
        f"{{name: first, {BUSYBOX}, commands: ['sleep 8']}}",
        f"{{name: second, {BUSYBOX}, commands: ['echo ${{#word}}'], dependsOn: [first], "
        "secrets: [{secretRef: early, key: word}]}",
        f"{{name: third, {BUSYBOX}, commands: ['true'], dependsOn: [first]}}",
    )
    wait_for(cluster, name, 2, "reason", "WaitingAtGate")
    assert steps_of(cluster, name)[1]["reason"] == "WaitingForSteps"
    selector = f"c8s.dev/run={name},c8s.dev/step=second"
    assert cluster.kubectl("get", "jobs,pods", "-l", selector, "-o", "name") == ""
    wait_until(lambda: cluster.phase(name) == "Succeeded", WAIT_SECONDS, what="the end of the run")


def test_run_of_300_steps_ends(cluster: Program, tmp_path: Path) -> None:
    numbers = ", ".join(f"'{number}'" for number in range(300))
    step = f"{{name: many, {BUSYBOX}, commands: ['true'], matrix: {{dimensions: {{number: [{numbers}]}}}}}}"
    name = started(cluster, tmp_path, step, maxParallel=20)
    wait_until(lambda: cluster.phase(name) in ("Succeeded", "Failed"), 1500, what="the end of 300 steps")
    assert cluster.phase(name) == "Succeeded"


@pytest.fixture
def two_operators(cluster: Program) -> Iterator[None]:
    before = cluster.kubectl("get", *OPERATORS, "-o", "jsonpath={.spec.replicas}")
    cluster.kubectl("scale", *OPERATORS, "--replicas=2")
    cluster.kubectl("rollout", "status", *OPERATORS, "--timeout=180s")
    yield
    cluster.kubectl("scale", *OPERATORS, f"--replicas={before}")


@pytest.mark.usefixtures("two_operators")
def test_run_outlives_the_leader_of_two_operators(cluster: Program, tmp_path: Path) -> None:
    chain = [
        f"{{name: s{number}, {BUSYBOX}, commands: ['sleep 3']{f', dependsOn: [s{number - 1}]' if number else ''}}}"
        for number in range(8)
    ]
    name = started(cluster, tmp_path, *chain)
    wait_for(cluster, name, 1, "phase", "Running")
    holder = cluster.kubectl(
        "get", "-n", "c8s-system", "lease", "c8s-operator", "-o", "jsonpath={.spec.holderIdentity}"
    )
    pods = cluster.kubectl("get", "pods", "-n", "c8s-system", "-o", "jsonpath={.items[*].metadata.name}").split()
    leader = next(pod for pod in pods if holder.startswith(pod))
    cluster.kubectl("delete", "pod", "-n", "c8s-system", leader, "--grace-period=0", "--force")
    wait_until(lambda: cluster.phase(name) in ("Succeeded", "Failed"), 2 * WAIT_SECONDS, what="the end of the run")
    assert cluster.phase(name) == "Succeeded"
    assert [len(step["attempts"]) for step in steps_of(cluster, name)] == [1] * 8
