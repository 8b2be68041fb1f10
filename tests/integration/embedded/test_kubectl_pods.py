"""kubectl, unmodified, runs commands in pods and reads their logs: exit codes, streams, terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectl import Kubectl
from tests.support.waiting import LONGEST, wait_until

pytestmark = [pytest.mark.needs("kubectl", "openssl"), pytest.mark.xdist_group("kubectl-pods")]

Json = dict[str, Any]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
_TIMEOUT = f"--timeout={LONGEST:g}s"

# A container goes on when the command that told it to has ended: that would be killed with the container.
_TELL, _TOLD = "echo $$ > pid; mv pid go", "test -e go && ! kill -0 $(cat go) 2>/dev/null"
_VOLUME: Json = {"volumes": [{"name": "v", "emptyDir": {}}]}
_IN_VOLUME: Json = {"workingDir": "/v", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}


def sh(name: str, script: str) -> Json:
    return {"name": name, "image": "none", "command": ["sh", "-c", script.replace("$", "$$")]}


def made(client: Kubectl, name: str, *containers: Json, **spec: Any) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}}
    client(
        "create", "-f", "-", given=pod | {"spec": {"restartPolicy": "Never", "containers": list(containers), **spec}}
    )


@pytest.fixture(scope="module")
def client(kubectl: Kubectl) -> Kubectl:
    """kubectl, and a pod `p` that runs, with two containers."""
    script = "echo out; echo err >&2; printf 'no newline'; exec sleep 300"
    made(kubectl, "p", sh("main", script), sh("other", "echo other; exec sleep 300"))
    kubectl("wait", "--for=condition=Ready", "pod/p", _TIMEOUT)
    # It is ready before its commands have printed anything.
    wait_until(lambda: kubectl("logs", "p", "-c", "main") == "out\nerr\nno newline")
    wait_until(lambda: kubectl("logs", "p", "-c", "other") == "other\n")
    return kubectl


@pytest.fixture
def run(client: Kubectl) -> Run:
    """kubectl with bytes in and out, and the streams apart."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(client.home), "KUBECONFIG": str(client.home / "kubeconfig")}

    def call(*arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["kubectl", *arguments], input=given, capture_output=True, env=environment, timeout=LONGEST
        )

    return call


def test_exec_has_separate_streams_and_an_exit_code(run: Run) -> None:
    done = run("exec", "p", "-c", "main", "--", "sh", "-c", "echo to out; echo to err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"to out\n")
    assert done.stderr.splitlines() == [b"to err", b"command terminated with exit code 7"]
    assert run("exec", "p", "-c", "main", "--", "true").returncode == 0


def test_the_first_container_is_the_default(run: Run) -> None:
    done = run("exec", "p", "--", "sh", "-c", "echo $EMBEDDED_CONTAINER")
    assert b"Defaulted container" in done.stderr
    assert done.stdout.strip().endswith(b"/main")


def test_exec_streams_megabytes_unchanged(run: Run) -> None:
    content = os.urandom(5_000_000)
    done = run("exec", "-i", "p", "-c", "main", "--", "cat", given=content)
    assert (done.returncode, done.stdout == content) == (0, True)


def test_exec_with_a_terminal(client: Kubectl, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(client.home), "KUBECONFIG": str(client.home / "kubeconfig")}
    command = ["kubectl", "exec", "-it", "p", "-c", "main", "--", "sh", "-c", "tty; read word; echo got $word; exit 5"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while b"/dev/" not in shown:
            shown += os.read(master, 1024)
        os.write(master, b"hello\n")
        while b"got hello" not in shown:
            shown += os.read(master, 1024)
        assert process.wait(LONGEST) == 5
    os.close(master)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", "--", "true"), b'pods "nope" not found'),
        (("p", "-c", "nope", "--", "true"), b"container nope is not valid for pod p"),
        (("p", "-c", "main", "--", "no-such-tool"), b'exec: "no-such-tool": executable file not found'),
    ],
)
def test_exec_reports_a_missing_command(run: Run, arguments: tuple[str, ...], message: bytes) -> None:
    done = run("exec", *arguments)
    assert done.returncode == 1
    assert message in done.stderr


def test_attach_shows_the_output_of_a_container(client: Kubectl) -> None:
    container = sh("main", f"until {_TOLD}; do echo tick; sleep 0.1; done") | _IN_VOLUME
    made(client, "attached", container, **_VOLUME)
    client("wait", "--for=condition=Ready", "pod/attached", _TIMEOUT)
    with _going_on(client, "attach", "attached") as attached:
        assert _until(attached, "tick\n") == "tick\n"
        client("exec", "attached", "--", "sh", "-c", _TELL)
        assert attached.stdout is not None
        assert set(attached.stdout) <= {"tick\n"}
        assert attached.wait(LONGEST) == 0


def test_logs_by_container_by_label_and_by_range(run: Run) -> None:
    assert run("logs", "p", "-c", "main").stdout == b"out\nerr\nno newline"
    assert run("logs", "p", "-c", "main", "--tail=1").stdout == b"no newline"
    assert run("logs", "p", "-c", "main", "--limit-bytes=5").stdout == b"out\ne"
    # kubectl reads them side by side: each container's lines are in order, and it may begin with either.
    both = run("logs", "p", "--all-containers", "--prefix").stdout.replace(b"no newline", b"no newline\n").splitlines()
    assert [line for line in both if line.startswith(b"[pod/p/main]")] == [
        b"[pod/p/main] out",
        b"[pod/p/main] err",
        b"[pod/p/main] no newline",
    ]
    assert b"[pod/p/other] other" in both
    assert run("logs", "-l", "app=p", "-c", "other").stdout == b"other\n"
    stamped = run("logs", "p", "-c", "other", "--timestamps").stdout
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z other\n", stamped)
    assert run("logs", "p", "-c", "other", "--since-time=2999-01-01T00:00:00Z").stdout == b""
    refused = run("logs", "p", "-c", "nope")
    assert (refused.returncode, b"container nope is not valid for pod p" in refused.stderr) == (1, True)


def test_logs_are_followed_and_kept_across_a_restart(run: Run, client: Kubectl) -> None:
    script = "test -e seen && { echo second; sleep 0.3; echo end; exit 0; }; touch seen; echo first; exit 3"
    made(client, "again", sh("main", script) | _IN_VOLUME, restartPolicy="OnFailure", **_VOLUME)
    client("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/again", _TIMEOUT)
    assert run("logs", "-f", "again").stdout == b"second\nend\n"
    assert run("logs", "again", "--previous").stdout == b"first\n"


def test_describe_shows_the_events_of_a_pod(client: Kubectl) -> None:
    made(client, "loop", sh("main", "exit 9"), restartPolicy="Always")

    def restarts() -> int:
        listed = json.loads(client("get", "pod", "loop", "-o", "json"))
        return int((listed["status"].get("containerStatuses") or [{"restartCount": 0}])[0]["restartCount"])

    wait_until(lambda: restarts() >= 2, what="the second restart")
    description = client("describe", "pod", "loop")
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +9", description)
    assert re.search(r"Warning +BackOff .* Back-off restarting failed container main in pod loop_default", description)
    client("delete", "pod", "loop", "--grace-period=1")


def _until(process: subprocess.Popen[str], expected: str) -> str:
    """What a kubectl that goes on has printed, as soon as this is in it."""
    output = ""
    assert process.stdout is not None
    while expected not in output:
        line = process.stdout.readline()
        assert line, f"kubectl ended after {output!r}"
        output += line
    return output


@contextmanager
def _going_on(client: Kubectl, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(client.home), "KUBECONFIG": str(client.home / "kubeconfig")}
    with subprocess.Popen(
        ["timeout", f"{LONGEST:g}", "kubectl", *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_get_watch_shows_changes(client: Kubectl) -> None:
    made(client, "w", sh("main", "exec sleep 300"))
    with _going_on(client, "get", "pods", "-l", "app=w", "-w", "--output-watch-events") as watch:
        assert "NAME" in _until(watch, "ADDED")
        client("label", "pod", "w", "seen=yes")
        _until(watch, "MODIFIED")
        client("delete", "pod", "w", "--grace-period=1")
        assert "Terminating" in _until(watch, "DELETED")


def test_a_followed_log_ends_with_its_container(client: Kubectl) -> None:
    script = f"echo begun; until {_TOLD}; do sleep 0.02; done; echo gone on"
    made(client, "follow", sh("main", script) | _IN_VOLUME, **_VOLUME)
    client("wait", "--for=condition=Ready", "pod/follow", _TIMEOUT)
    with _going_on(client, "logs", "-f", "-l", "app=follow") as log:
        _until(log, "begun\n")
        client("exec", "follow", "--", "sh", "-c", _TELL)
        assert _until(log, "gone on\n") == "gone on\n"
        assert log.wait(LONGEST) == 0


def test_previous_logs_are_separate(client: Kubectl) -> None:
    script = "test -e seen && { echo second; exec sleep 300; }; touch seen; echo first; exit 1"
    made(client, "twice", sh("main", script) | _IN_VOLUME, restartPolicy="OnFailure", **_VOLUME)
    client("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/twice", _TIMEOUT)
    client("wait", "--for=condition=Ready", "pod/twice", _TIMEOUT)
    wait_until(lambda: client("logs", "twice") == "second\n")
    assert client("logs", "twice", "--previous") == "first\n"
    assert "previous terminated container" in client("logs", "p", "-c", "main", "--previous", code=1)


def test_top_shows_what_pods_and_the_node_use(run: Run) -> None:
    pods = run("top", "pod", "p", "--containers", "--no-headers").stdout.decode().split()
    assert (pods[:2], pods[4:6]) == (["p", "main"], ["p", "other"])
    assert re.fullmatch(r"\d+m \d+Mi", " ".join(pods[2:4]))
    (node,) = run("top", "nodes", "--no-headers").stdout.decode().splitlines()
    assert re.fullmatch(r"embedded +\d+m +\d+% +\d+Mi +\d+% *", node)
    assert b'podmetrics.metrics.k8s.io "default/none" not found' in run("top", "pod", "none").stderr


def test_metrics_are_a_group_as_of_metrics_server(run: Run) -> None:
    assert b"metrics.k8s.io/v1beta1\n" in run("api-versions").stdout
    listed = run("api-resources", "--api-group=metrics.k8s.io", "--no-headers").stdout.decode().split()
    assert listed == [
        *("nodes", "metrics.k8s.io/v1beta1", "false", "NodeMetrics"),
        *("pods", "metrics.k8s.io/v1beta1", "true", "PodMetrics"),
    ]
    groups = json.loads(run("get", "--raw", "/apis").stdout)["groups"]
    own = json.loads(run("get", "--raw", "/apis/metrics.k8s.io").stdout)
    assert own == {"kind": "APIGroup", "apiVersion": "v1", **groups[-1]}
    entries = json.loads(run("get", "--raw", "/apis/metrics.k8s.io/v1beta1").stdout)["resources"]
    assert [(each["name"], each["kind"], each["verbs"]) for each in entries] == [
        ("nodes", "NodeMetrics", ["get", "list"]),
        ("pods", "PodMetrics", ["get", "list"]),
    ]
    found = json.loads(run("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/embedded").stdout)
    assert (found["kind"], sorted(found["usage"])) == ("NodeMetrics", ["cpu", "memory"])
    assert b"(NotFound)" in run("get", "--raw", "/apis/metrics.k8s.io/v1beta1/pods/p").stderr
    assert run("get", "pod", "p", "-o", "name").stdout == b"pod/p\n"
