"""The life of a kind cluster: up again, stopped, started, refused, deleted. In this order: the last test ends it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from kind.object_store import S3Config, create_bucket
from tests.cluster.conftest import NAME, WAIT_SECONDS, Program
from tests.live import parse_step_table, write_pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kind_only


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=True
    ).stdout.strip()


def test_everything_is_healthy_and_the_contexts_are_there(cluster: Program) -> None:
    found = json.loads(cluster("status", "--name", NAME, "-o", "json").stdout)
    assert found["state"] == "running"
    names = {part["name"] for part in found["components"] if part["healthy"]}
    assert {"docker", "node", "cluster", "c8s-operator", "c8s-api", "c8s-minio", "api"} <= names
    own = yaml.safe_load((cluster.home / "own-kubeconfig").read_text())
    assert own["current-context"] == f"kind-{NAME}"
    contexts = yaml.safe_load((cluster.home / "config" / "c8s" / "config.yaml").read_text())
    assert contexts["current-context"] == f"kind-{NAME}"
    assert cluster("kubeconfig", "--name", NAME).stdout.strip() == str(cluster.kubeconfig)


def test_a_second_up_finds_everything_done(cluster: Program) -> None:
    began = time.monotonic()
    said = cluster("up", "--kind", "--name", NAME).stderr
    assert "exists, Kubernetes" in said
    assert re.search(r"c8s-controller:\w+ exists", said)
    assert time.monotonic() - began < 60


def test_all_ports_are_on_loopback(cluster: Program) -> None:
    published = json.loads(
        docker("container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", f"{NAME}-control-plane")
    )
    addresses = {each["HostIp"] for bound in published.values() for each in bound}
    assert addresses == {"127.0.0.1"}


def test_a_node_that_was_stopped_is_started_again_with_its_runs(cluster: Program, repository: Path) -> None:
    sample = repository / "samples" / "hello.yaml"
    name = cluster("run", str(sample), "--source", str(sample.parent)).stdout.split()[1]
    cluster("down", "--name", NAME)
    assert json.loads(cluster("status", "--name", NAME, "-o", "json", expect=1).stdout)["state"] == "stopped"
    cluster("up", "--kind", "--name", NAME)
    assert name in {each["name"] for each in json.loads(cluster("runs", "-o", "json").stdout)}
    assert "Hello from step greet" in cluster("logs", name).stdout
    out = cluster("run", str(sample), "--source", str(sample.parent)).stdout
    assert set(parse_step_table(out).values()) == {"Succeeded"}


def test_a_cluster_that_c8s_did_not_make_is_left_alone(cluster: Program) -> None:
    """Ours, but seen from a state folder that knows nothing of it."""
    stranger = Program(cluster.home / "stranger", cluster.kubeconfig)
    stranger.home.mkdir()
    said = stranger("up", "--kind", "--name", NAME, expect=1).stderr
    assert "left unchanged" in said
    assert docker("container", "inspect", "--format", "{{.State.Running}}", f"{NAME}-control-plane") == "true"


def test_a_token_is_renewed_when_it_is_due(cluster: Program) -> None:
    token = cluster.home / "state" / "c8s" / NAME / "credentials" / "workbench.token"
    before = token.read_text()
    token.with_name(token.name + ".renew-after").write_text("0\n")
    cluster("runs")
    assert token.read_text() != before
    assert token.stat().st_mode & 0o777 == 0o600


def test_the_controllers_image_is_small(cluster: Program) -> None:
    record = json.loads((cluster.home / "state" / "c8s" / NAME / "kind.json").read_text())
    assert int(docker("image", "inspect", "--format", "{{.Size}}", record["image"])) < 180_000_000
    has_git = docker("run", "--rm", "--network", "none", "--entrypoint", "git", record["image"], "--version")
    assert has_git.startswith("git version")


def test_a_second_cluster_has_its_images_from_the_start(cluster: Program, repository: Path) -> None:
    kept = docker("image", "ls", "--filter", "label=dev.c8s.role=node-image", "--format", "{{.Repository}}:{{.Tag}}")
    assert kept.startswith("localhost/c8s-node:")
    name = f"{NAME}-second"
    try:
        said = cluster("up", "--kind", "--name", name).stderr
        assert "with the images in it" in said
        assert re.search(r"c8s-controller:\w+ is in the node image\n", said), "and could be unpacked in advance"
        assert f"Keep a node image for the next cluster: {kept.splitlines()[0]} exists" in said
        assert docker("ps", "--all", "--quiet", "--filter", "label=dev.c8s.role=node-image-build") == ""
        sample = repository / "samples" / "hello.yaml"
        out = cluster("--context", f"kind-{name}", "run", str(sample), "--source", str(sample.parent)).stdout
        assert set(parse_step_table(out).values()) == {"Succeeded"}
    finally:
        cluster("down", "--name", name, "--delete", "--yes", expect=None)
        # Its context is the current one again.
        cluster("up", "--kind", "--name", NAME)
    assert docker("image", "ls", "--quiet", "--filter", "label=dev.c8s.role=node-image") != ""


def test_doctor_starts_a_stopped_node(cluster: Program) -> None:
    cluster("down", "--name", NAME, "--yes")
    node = f"{NAME}-control-plane"
    listed = cluster("doctor", "--fix", expect=3)
    assert f"$ docker start {node}" in listed.stdout
    assert "nothing was run" in listed.stderr
    fixed = cluster("doctor", "--fix", "--yes", expect=None)
    assert f"$ docker start {node}\n  done" in fixed.stdout
    assert node not in fixed.stdout.partition("checked again: ")[2]
    cluster("up", "--kind", "--name", NAME)


def other_store(image: str, keys: dict[str, str]) -> list[dict[str, Any]]:
    """A second S3 server, in a namespace of its own."""
    labels = {"app": "store"}
    server = {
        "name": "minio",
        "image": image,
        "command": ["minio", "server", "/data", "--address", ":9000"],
        "env": [
            {"name": "MINIO_ROOT_USER", "value": keys["AWS_ACCESS_KEY_ID"]},
            {"name": "MINIO_ROOT_PASSWORD", "value": keys["AWS_SECRET_ACCESS_KEY"]},
        ],
        "ports": [{"containerPort": 9000}],
        "readinessProbe": {"httpGet": {"path": "/minio/health/ready", "port": 9000}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [server], "volumes": [{"name": "data"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "store", "namespace": "own-s3"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "own-s3"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-b"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 9000}]},
        },
    ]


@contextmanager
def forwarded(cluster: Program, *target: str) -> Iterator[int]:
    """The local port that leads to a service's port 9000."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    forward = subprocess.Popen(
        ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *target, f"{port}:9000"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert forward.stdout is not None
        assert "Forwarding from" in forward.stdout.readline()
        yield port
    finally:
        forward.terminate()
        forward.wait(10)


def test_installation_for_another_namespace_with_another_store(
    cluster: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same cluster, whose controller has other settings from then on: nothing but its end comes after this."""
    secret = json.loads(cluster.kubectl("-n", "c8s-system", "get", "secret", "c8s-store", "-o", "json"))["data"]
    keys = {name: b64decode(secret[name]).decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    minio = ("-n", "c8s-system", "get", "deployment", "c8s-minio")
    image = cluster.kubectl(*minio, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    for obj in other_store(image, keys):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
    cluster.kubectl("-n", "own-s3", "rollout", "status", "deployment/store", "--timeout=180s")
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    record = json.loads((cluster.home / "state" / "c8s" / NAME / "kind.json").read_text())
    with forwarded(cluster, "-n", "own-s3", "port-forward", "service/store") as port:
        store = S3Config(f"http://127.0.0.1:{port}", "ci", "us-east-1", *keys.values())
        asyncio.run(create_bucket(store))
        where = ("--s3-endpoint", "http://store.own-s3.svc:9000", "--s3-bucket", "ci", "--namespace", "team-b")
        cluster("install", "--context", f"kind-{NAME}", "--image", record["image"], *where)
        for part in ("c8s-operator", "c8s-api"):
            cluster.kubectl("-n", "c8s-system", "rollout", "status", f"deployment/{part}", "--timeout=180s")
        steps = [
            "{name: make, image: 'busybox:1.36', commands: ['echo made > made'], artifacts: [made]}",
            "{name: read, image: 'busybox:1.36', commands: ['cat made'], dependsOn: [make]}",
        ]
        spec = {"pipeline": yaml.safe_load(write_pipeline(tmp_path, steps).read_text())}
        meta = {"name": "own-1", "namespace": "team-b"}
        obj = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": meta, "spec": spec}
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        over = ("Succeeded", "Failed")
        wait_until(lambda: cluster.phase("own-1", "team-b") in over, WAIT_SECONDS, what="the end of the run")
        assert cluster.phase("own-1", "team-b") == "Succeeded"
        kept = boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            aws_access_key_id=store.access_key,
            aws_secret_access_key=store.secret_key,
            region_name=store.region,
        ).list_objects_v2(Bucket="ci")["Contents"]
    folders = {tuple(each["Key"].split("/")[:2]) for each in kept}
    assert {("logs", "team-b"), ("artifacts", "team-b")} <= folders
    account = "system:serviceaccount:c8s-system:c8s-workbench"
    may = ("auth", "can-i", "create", "pipelineruns.c8s.dev", "--as", account, "-n", "team-b")
    assert cluster.kubectl(*may).strip() == "yes"


def test_down_with_delete_leaves_nothing(cluster: Program) -> None:
    cluster("down", "--name", NAME, "--delete", "--yes")
    assert (
        NAME
        not in subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not (cluster.home / "state" / "c8s" / NAME).exists()
    contexts = yaml.safe_load((cluster.home / "config" / "c8s" / "config.yaml").read_text())
    assert contexts["contexts"] == []
    assert "current-context" not in contexts
