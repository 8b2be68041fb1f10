"""Pipelines on a real cluster: images, pods, the object store, and what goes wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from kind.kustomize import MANIFESTS_FOLDER
from tests.cluster.conftest import WAIT_SECONDS, Program
from tests.live import parse_step_table, write_pipeline
from tests.support.waiting import wait_until


def run(cluster: Program, folder: Path, *steps: str, expect: int = 0) -> str:
    """What `c8s run` printed of these steps."""
    return cluster("run", str(write_pipeline(folder, steps)), expect=expect).stdout


def started(cluster: Program, folder: Path, *steps: str, **more: object) -> str:
    """The name of a run that was started in the background. `more` is what its pipeline says besides steps."""
    document = yaml.safe_load(write_pipeline(folder, steps).read_text()) | more
    name = f"mine-{token_hex(3)}"
    obj = {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {"name": name, "namespace": "default", "labels": {"c8s.dev/pipeline": "mine"}},
        "spec": {"pipeline": document, "branch": "main", "event": "manual"},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
    return name


@pytest.mark.parametrize(
    ("sample", "source", "code"),
    [
        ("hello.yaml", "", 0),
        ("fan-out.yaml", "", 0),
        ("failing.yaml", "", 1),
        ("artifacts.yaml", "", 0),
        ("services.yaml", "", 0),
        ("wordcount/.c8s.yaml", "wordcount", 0),
    ],
)
def test_every_sample_does_what_it_says(
    cluster: Program, repository: Path, sample: str, source: str, code: int
) -> None:
    folder = repository / "samples"
    out = cluster("run", str(folder / sample), "--source", str(folder / source), expect=code).stdout
    phases = set(parse_step_table(out).values())
    assert phases == ({"Succeeded"} if code == 0 else {"Succeeded", "Failed", "Skipped"})


def test_a_secret_reaches_its_step_and_no_log(cluster: Program, repository: Path) -> None:
    value = "correct horse battery staple"
    cluster("secrets", "set", "demo-login", "password", stdin=value)
    folder = repository / "samples"
    out = cluster("run", str(folder / "secrets.yaml"), "--source", str(folder)).stdout
    assert "the password has 28 characters" in out
    assert value not in out
    assert value not in cluster("logs", out.split()[1]).stdout


def test_steps_run_in_their_images(cluster: Program, tmp_path: Path) -> None:
    out = run(
        cluster,
        tmp_path,
        "{name: one, image: 'busybox:1.36', commands: ['busybox | head -n 1', 'if type python3; then exit 9; fi']}",
        # Its image says which version it has: a name may stand for another one.
        "{name: two, image: 'python:3.12-slim', commands: ['python3 --version', 'echo Python $PYTHON_VERSION']}",
    )
    assert "BusyBox v1" in out
    versions = [line.partition("| ")[2] for line in out.splitlines() if line.startswith("two | Python ")]
    assert len(versions) == 2
    assert versions[0] == versions[1] != "Python"


def test_content_of_a_pipeline_file_is_taken_as_it_is(cluster: Program, tmp_path: Path) -> None:
    """With its version, by a server that refuses fields that it does not know."""
    document = yaml.safe_load(
        write_pipeline(tmp_path, ["{name: a, image: 'busybox:1.36', commands: ['true']}"]).read_text()
    )
    assert document["version"] == "v1alpha1"
    name = f"strict-{token_hex(3)}"
    spec = {"pipeline": {**document, "description": "as it is"}, "branch": "main", "event": "manual", "prestart": 1}
    meta = {"name": name, "namespace": "default"}
    obj = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": meta, "spec": spec}
    cluster.kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps(obj))
    wait_until(lambda: cluster.phase(name) == "Succeeded", WAIT_SECONDS, what="the run's end")
    kept = ("get", "pipelinerun", name, "-o", "jsonpath={.spec.pipeline.version}")
    assert cluster.kubectl(*kept) == "v1alpha1"
    unknown = {
        **obj,
        "metadata": {**meta, "name": f"{name}-x"},
        "spec": {**spec, "pipeline": {**document, "verzion": "x"}},
    }
    cluster.kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps(unknown), expect=1)


def test_artifacts_pass_between_users_and_come_out_of_the_store(cluster: Program, tmp_path: Path) -> None:
    """Root leaves a file that only root may read; the agent keeps it, and the next step and we get it."""
    out = run(
        cluster,
        tmp_path,
        "{name: build, image: 'busybox:1.36', commands: ['mkdir -p dist', 'umask 077', 'echo made > dist/private'],"
        " artifacts: ['dist/**']}",
        "{name: check, image: 'busybox:1.36', dependsOn: [build], commands: ['cat dist/private', 'touch dist/more']}",
    )
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    cluster("artifacts", out.split()[1], "build", "--extract", str(tmp_path / "out"))
    assert (tmp_path / "out" / "dist" / "private").read_text() == "made\n"


def test_a_line_is_shown_while_its_step_runs(cluster: Program, tmp_path: Path) -> None:
    step = "{name: talk, image: 'busybox:1.36', commands: ['echo begun', 'sleep 120']}"
    with cluster.start("run", str(write_pipeline(tmp_path, [step]))) as running:
        assert running.stdout is not None
        name = ""
        for line in running.stdout:
            name = name or (line.split()[1] if line.startswith("run ") else "")
            if "| begun" in line:
                break
        assert cluster.phase(name) == "Running"
        cluster("cancel", name)
        running.stdout.read()
    assert running.returncode == 1


def test_a_cache_lasts_from_run_to_run(cluster: Program, tmp_path: Path) -> None:
    step = (
        "{name: keep, image: 'busybox:1.36', cache: [{key: k1, paths: [.cache]}],"
        " commands: ['mkdir -p .cache', 'test -e .cache/made || cat /proc/sys/kernel/random/uuid > .cache/made',"
        " 'cat .cache/made']}"
    )

    def made() -> str:
        name = run(cluster, tmp_path, step).split()[1]
        assert "cache k1" in cluster("logs", name, "keep", "--container", "agent").stdout
        # The cache is kept after the step has ended.
        pods = ("get", "pods", "-l", f"c8s.dev/run={name}", "-o", "jsonpath={.items[*].status.phase}")
        wait_until(lambda: cluster.kubectl(*pods) == "Succeeded", WAIT_SECONDS, what="the end of its pod")
        return cluster("logs", name, "keep").stdout

    first = made()
    assert len(first.strip()) == 36
    assert made() == first


def test_runs_of_one_group_take_turns(cluster: Program, tmp_path: Path) -> None:
    step = "{name: deploy, image: 'busybox:1.36', commands: ['sleep 15']}"
    turns = {"concurrency": {"group": "one", "policy": "queue"}}
    first = started(cluster, tmp_path, step, **turns)
    wait_until(lambda: cluster.phase(first) == "Running", WAIT_SECONDS, what="the first run")
    second = started(cluster, tmp_path, step, **turns)
    wait_until(lambda: cluster.phase(second) == "Queued", WAIT_SECONDS, what="the second run to wait")
    wait_until(lambda: cluster.phase(second) == "Succeeded", 300, what="the second run's end")
    began = ("get", "pipelinerun", second, "-o", "jsonpath={.status.steps[0].attempts[0].times.created}")
    ended = ("get", "pipelinerun", first, "-o", "jsonpath={.status.completionTime}")
    assert cluster.kubectl(*began) > cluster.kubectl(*ended)


def test_no_step_holds_a_token_or_a_key(cluster: Program, tmp_path: Path) -> None:
    out = run(
        cluster,
        tmp_path,
        "{name: look, image: 'busybox:1.36',"
        " commands: ['env', 'ls /var/run/secrets/kubernetes.io /var/run/c8s || true']}",
    )
    assert "AWS_" not in out
    assert "token" not in out.replace("No such file or directory", "").lower()


def test_cancel_ends_the_pods_and_keeps_the_log(cluster: Program, tmp_path: Path) -> None:
    name = started(cluster, tmp_path, "{name: long, image: 'busybox:1.36', commands: ['echo begun', 'sleep 600']}")
    wait_until(lambda: "begun" in cluster("logs", name, expect=None).stdout, WAIT_SECONDS, what="the first line")
    cluster("cancel", name)
    wait_until(lambda: cluster.phase(name) == "Cancelled", WAIT_SECONDS, what="the run's end")
    assert "begun" in cluster("logs", name).stdout


def test_a_step_is_tried_again_and_each_attempt_has_its_own_job(cluster: Program, tmp_path: Path) -> None:
    out = run(
        cluster,
        tmp_path,
        "{name: flaky, image: 'busybox:1.36', retryPolicy: {maxRetries: 1, backoffSeconds: 1},"
        " commands: ['echo attempt $C8S_ATTEMPT', '[ $C8S_ATTEMPT = 2 ]']}",
    )
    assert parse_step_table(out) == {"flaky": "Succeeded"}
    jobs = cluster.kubectl("get", "jobs", "-l", f"c8s.dev/run={out.split()[1]}", "-o", "name").split()
    assert len(jobs) == 2


def reason(cluster: Program, name: str) -> tuple[str, str]:
    step = json.loads(cluster.kubectl("get", "pipelinerun", name, "-o", "json"))["status"]["steps"][0]
    return step.get("reason", ""), step.get("message", "")


def test_step_over_its_memory_limit_is_reported_with_it(cluster: Program, tmp_path: Path) -> None:
    out = run(
        cluster,
        tmp_path,
        "{name: greedy, image: 'python:3.12-slim', resources: {memory: 64Mi},"
        " commands: ['python3 -c \"x = bytearray(512 << 20); print(len(x))\"']}",
        expect=1,
    )
    why, message = reason(cluster, out.split()[1])
    assert why == "OOMKilled"
    assert "64Mi" in message


def test_an_image_that_can_not_be_pulled_is_reported(cluster: Program, tmp_path: Path) -> None:
    steps = ["{name: pull, image: 'quay.io/none/none:1', timeout: 2m, commands: ['true']}"]
    name = started(cluster, tmp_path, *steps)
    wait_until(lambda: "ImagePull" in reason(cluster, name)[0], WAIT_SECONDS, what="the reason")
    assert "quay.io/none/none:1" in reason(cluster, name)[1]
    cluster("cancel", name)
    wait_until(lambda: cluster.phase(name) == "Cancelled", WAIT_SECONDS, what="the run's end")


def test_a_quota_makes_steps_wait_and_is_named(cluster: Program, tmp_path: Path) -> None:
    """The sample namespace with one pod at a time: both steps run, one after the other."""
    for obj in yaml.safe_load_all((MANIFESTS_FOLDER / "team" / "team.yaml").read_text()):
        if obj["kind"] == "ResourceQuota":
            obj["spec"]["hard"]["pods"] = "1"
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
    try:
        pipeline = write_pipeline(
            tmp_path,
            [
                "{name: a, image: 'busybox:1.36', commands: ['sleep 3']}",
                "{name: b, image: 'busybox:1.36', commands: ['sleep 3']}",
            ],
        )
        spec = {"pipeline": yaml.safe_load(pipeline.read_text()), "branch": "main", "event": "manual"}
        meta = {"name": "quota-1", "namespace": "team-a"}
        obj = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": meta, "spec": spec}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
        seen: set[str] = set()

        def over() -> bool:
            status = json.loads(cluster.kubectl("-n", "team-a", "get", "pipelinerun", "quota-1", "-o", "json")).get(
                "status", {}
            )
            seen.update(step.get("reason", "") for step in status.get("steps", []))
            return str(status.get("phase")) in ("Succeeded", "Failed")

        wait_until(over, 300, what="both steps")
        assert cluster.phase("quota-1", "team-a") == "Succeeded"
        assert "OverQuota" in seen
    finally:
        cluster.kubectl("delete", "namespace", "team-a", "--wait=false", expect=None)


def test_an_operator_that_is_killed_loses_no_step_and_doubles_none(cluster: Program, tmp_path: Path) -> None:
    name = started(
        cluster,
        tmp_path,
        "{name: one, image: 'busybox:1.36', commands: ['echo begun', 'sleep 8', 'echo ended']}",
        "{name: two, image: 'busybox:1.36', dependsOn: [one], commands: ['echo after']}",
    )
    pods = ("get", "pods", "-l", f"c8s.dev/run={name}", "-o", "jsonpath={.items[*].status.phase}")
    wait_until(lambda: "Running" in cluster.kubectl(*pods), WAIT_SECONDS, what="the first pod")
    cluster.kubectl(
        "-n", "c8s-system", "delete", "pod", "-l", "app.kubernetes.io/name=c8s-operator", "--grace-period=0", "--force"
    )
    wait_until(lambda: cluster.phase(name) == "Succeeded", 300, what="the run's end")
    jobs = cluster.kubectl("get", "jobs", "-l", f"c8s.dev/run={name}", "-o", "name").split()
    assert len(jobs) == 2
    text = cluster("logs", name).stdout
    assert [text.count(word) for word in ("begun", "ended", "after")] == [1, 1, 1]


def test_a_failed_step_that_was_kept_is_entered_where_and_as_it_was_left(cluster: Program, tmp_path: Path) -> None:
    cluster("secrets", "set", "vault", "word", stdin="correct horse battery staple")
    out = run(
        cluster,
        tmp_path,
        "{name: fails, image: 'busybox:1.36', keepOnFailure: true, env: {LEVEL: debug}, "
        "secrets: [{secretRef: vault, key: word}], "
        "commands: ['mkdir -p sub; echo left > sub/file; ln -s /workspace/sub/file link; chmod 600 sub/file; exit 3']}",
        expect=1,
    )
    name = out.split()[1]
    script = 'pwd; cat link; echo "$LEVEL $C8S_RUN ${#word}"; test -x /bin/busybox; exit 4'
    shell = cluster("shell", name, "fails", "sh", "-c", script, expect=4).stdout
    assert shell.splitlines() == ["/workspace", "left", f"debug {name} 28"]
    wait_until(
        lambda: "debug" not in cluster.kubectl("get", "pipelineruns,jobs,pods", "-o", "name"),
        WAIT_SECONDS,
        what="the end of the copy",
    )
