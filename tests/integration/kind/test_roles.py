"""The manifests' own rights are enough: operator, API and receiver as processes, each with its account's token.

The cluster is the embedded one, whose access control is real; what is applied is what a cluster gets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

import controller
from controller.kube import (
    CONFIG_MAPS,
    PIPELINE_CONFIGS,
    REPOSITORY_CONNECTIONS,
    SECRETS,
    ApiError,
    ForbiddenError,
    connect,
)
from controller.kube import ROLES as KUBE_ROLES
from controller.provenance import derive_webhook_key
from controller.webhooks.signature import hex_digest
from kind import apply, kustomize
from kind.access import service_account_token
from kind.cluster_record import ClusterRecord, write_record
from kind.tools.kind_cli import Ports
from tests.live import C8s, parse_step_table, write_pipeline
from tests.support.forges.git_server import git_server
from tests.support.forges.payloads import encode, gitea_push
from tests.support.waiting import LONGEST, wait_until, wait_until_async
from workbench.config.contexts import write_context
from workbench.sandbox import Endpoint
from workbench.sandbox.credentials import kubeconfig
from workbench.sandbox.launch import listen

ABSENT = {"Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"}
"""Kinds that the embedded cluster has not."""
ROLES = ("operator", "api", "webhook")
PIPELINE = {
    "version": "v1alpha1",
    "name": "demo",
    "steps": [
        {"name": "build", "image": "busybox:1.36", "commands": ["echo $PASSWORD; echo built > out.txt"],
         "artifacts": ["out.txt"], "secrets": [{"secretRef": "db", "key": "password", "envVar": "PASSWORD"}]},
        {"name": "check", "image": "busybox:1.36", "commands": ["cat out.txt"], "dependsOn": ["build"]},
    ],
}  # fmt: skip


@dataclass
class Installed:
    """A cluster with the manifests, and the three processes on it. `receiver`: where forges deliver."""

    folder: Path
    api: str
    token: str
    receiver: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.api + path, data, headers, method=method), timeout=LONGEST) as answer:
            text = answer.read().decode()
            return json.loads(text) if "json" in (answer.headers["Content-Type"] or "") else text

    def said(self) -> str:
        """What the processes logged."""
        return "".join((self.folder / f"{role}.log").read_text() for role in ROLES)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, HTTPError):
        return False


async def furnish(admin: Path) -> dict[str, str]:
    """Apply what a kind cluster gets, as far as this cluster knows the kinds; the accounts' tokens."""
    found = kustomize.render_values(
        kustomize.render(kustomize.MANIFESTS_FOLDER / "overlays" / "kind"), kustomize.ManifestValues()
    )
    async with connect(admin) as client:
        await apply.wait_for_api(client, timeout=LONGEST)
        await apply.apply(client, [each for each in found if each["kind"] not in ABSENT])
        await apply.apply(client, [each for each in found if each["kind"] not in ABSENT])
        await service_account_token.renew(
            service_account_token.ServiceAccountToken(admin.with_name("workbench.token"), admin), client, time.time()
        )
        tokens = {
            role: (await client.request_token(f"c8s-{role}", kustomize.SYSTEM_NAMESPACE, expiration_seconds=3600))[
                "token"
            ]
            for role in ROLES
        }
        secret = {
            "metadata": {"name": "db", "labels": {"c8s.dev/secret": "true"}},
            "stringData": {"password": "a-very-secret-value"},
        }
        await client.create(SECRETS, secret, "default")
    return tokens


@pytest.fixture
async def installed(tmp_path: Path) -> Any:
    with ExitStack() as leaving:
        folder, socket = tmp_path, leaving.enter_context(listen(0))
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        (folder / "tokens.csv").write_text('admin,c8s-admin,1,"system:masters"\n')
        tokens_file = str(folder / "tokens.csv")
        given = [
            "--data-dir",
            str(folder / "data"),
            "--listen-fd",
            str(socket.fileno()),
            "--token-auth-file",
            tokens_file,
        ]
        leaving.enter_context(running(folder, "cluster", ["embedded", *given], [socket.fileno()]))
        admin = folder / "admin.kubeconfig"
        admin.write_text(kubeconfig("here", url, "admin", "admin"))
        tokens = await furnish(admin)
        serving = leaving.enter_context(listen(0))
        api = f"http://127.0.0.1:{serving.getsockname()[1]}"
        (folder / "agent.key").write_text("k" * 40)
        (folder / "webhook.key").write_bytes(derive_webhook_key(b"k" * 40))
        receiving = leaving.enter_context(listen(0))
        for role in ROLES:
            file = folder / f"{role}.kubeconfig"
            file.write_text(kubeconfig("here", url, role, tokens[role]))
            agent = Path(controller.__file__).parent / "agent"
            sockets = {"api": serving, "webhook": receiving}
            more = ["--listen-fd", str(sockets[role].fileno())] if role in sockets else ["--leader-elect"]
            more += ["--admission-port", "0"] if role == "api" else []
            given = ["--role", role, "--kubeconfig", str(file), "--public-url", api, *more]
            if role == "webhook":
                given += ["--webhook-key-file", str(folder / "webhook.key")]
            else:
                given += ["--webhook-account", "c8s-webhook", "--agent-key-file", str(folder / "agent.key")]
                given += ["--store", (folder / "store").as_uri()]
                given += ["--agent-command", json.dumps([sys.executable, "-I", "-S", str(agent)])]
            descriptors = [sockets[role].fileno()] if role in sockets else []
            leaving.enter_context(running(folder, role, ["controller", *given], descriptors))
        wait_until(lambda: answers(f"{api}/readyz"), LONGEST, what="the API")
        receiver = f"http://127.0.0.1:{receiving.getsockname()[1]}"
        wait_until(lambda: answers(f"{receiver}/readyz"), LONGEST, what="the receiver")
        yield Installed(folder, api, (folder / "workbench.token").read_text().strip(), receiver)


@contextmanager
def running(folder: Path, name: str, arguments: list[str], pass_fds: list[int]) -> Iterator[None]:
    """One of our programs, ended with its context; what it logs is in a file."""
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-P", "-m", *arguments]
        process = subprocess.Popen(
            command, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(LONGEST)


async def test_two_roles_suffice_for_a_run(installed: Installed) -> None:
    runs = "/api/v1/namespaces/default/runs"
    name = installed.call("POST", runs, {"pipeline": PIPELINE, "branch": "main", "event": "push"})["name"]

    def ended() -> Any:
        run = installed.call("GET", f"{runs}/{name}")
        return run if run["status"]["phase"] in ("Succeeded", "Failed", "Cancelled") else None

    run = wait_until(ended, LONGEST, what="the run's end")
    assert run["status"]["phase"] == "Succeeded", run["status"]
    assert "built" in installed.call("GET", f"{runs}/{name}/steps/check/logs")
    assert "a-very-secret-value" not in installed.call("GET", f"{runs}/{name}/steps/build/logs")
    assert [each["path"] for each in installed.call("GET", f"{runs}/{name}/artifacts")["items"]] == ["out.txt"]
    installed.call("DELETE", f"{runs}/{name}")
    assert "forbidden" not in installed.said().lower()


async def test_a_delivery_to_the_receiver_becomes_a_run(installed: Installed, tmp_path: Path) -> None:
    space = "/api/v1/namespaces/default"
    text = 'version: v1alpha1\nname: pushed\nsteps: [{name: a, image: "busybox:1.36", commands: ["true"]}]\n'
    with git_server(tmp_path / "git") as server:
        repository = server.repository("octo/hello")
        commit = repository.commit({".c8s.yaml": text})
        wanted = {"repository": repository.url, "provider": "gitea", "credentials": {"username": "a", "password": "b"}}
        secret = installed.call("PUT", f"{space}/connections/hello", wanted)["webhookSecret"]
        headers, document = gitea_push()
        document |= {"after": commit, "head_commit": {"id": commit, "message": "Change"}}
        document["repository"]["clone_url"] = repository.url
        body = encode(document)
        signed = {**headers, "X-Gitea-Signature": hex_digest(secret.encode(), body)}
        url = f"{installed.receiver}/webhooks/gitea/default/hello"

        def started() -> Any:
            try:
                with urlopen(Request(url, body, signed, method="POST"), timeout=LONGEST) as answer:
                    return json.loads(answer.read())["runs"]
            except HTTPError:
                # The receiver does not know the new connection yet.
                return None

        (name,) = wait_until(started, LONGEST, what="the delivery is accepted")

        def ended() -> Any:
            run = installed.call("GET", f"{space}/runs/{name}")
            return run if run["status"]["phase"] in ("Succeeded", "Failed", "Cancelled") else None

        run = wait_until(ended, LONGEST, what="the run's end")
        assert (run["status"]["phase"], run["createdBy"]) == ("Succeeded", "c8s-webhook"), run["status"]

        def listed() -> Any:
            return installed.call("GET", f"{space}/connections/hello")["deliveries"]

        (delivery, *_) = wait_until(listed, LONGEST, what="the delivery in the status")
        assert [run["name"] for run in delivery["runs"]] == [name]
        installed.call("POST", f"{space}/connections/hello/deliveries/{delivery['id']}/replay", {})
        installed.call("PUT", f"{space}/connections/hello", {**wanted, "forks": "never"})
    assert answers(f"{installed.receiver}/healthz")
    assert not answers(f"{installed.receiver}/metrics"), "only who may read metrics"
    installed.call("DELETE", f"{space}/connections/hello")
    assert "forbidden" not in installed.said().lower().replace("metrics request denied", "")


async def test_every_other_call_has_the_rights_that_it_needs(installed: Installed) -> None:
    space = "/api/v1/namespaces/default"
    waiting = {"name": "wait", "image": "busybox:1.36", "commands": ["sleep 100"]}
    name = installed.call("POST", f"{space}/runs", {"pipeline": {**PIPELINE, "steps": [waiting]}})["name"]

    def phase() -> str:
        return str(installed.call("GET", f"{space}/runs/{name}")["status"]["phase"])

    wait_until(lambda: phase() == "Running", LONGEST, what="the step")
    installed.call("POST", f"{space}/runs/{name}/cancel", {})
    wait_until(lambda: phase() == "Cancelled", LONGEST, what="the run's end")
    assert installed.call("GET", f"{space}/runs/{name}/events")["items"]
    for _ in range(2):
        installed.call("PUT", f"{space}/secrets/mine", {"data": {"key": "value-of-mine"}})
        installed.call("PUT", f"{space}/pipelines/demo", {"definition": PIPELINE})
    assert "mine" in [each["name"] for each in installed.call("GET", f"{space}/secrets")["items"]]
    assert [each["name"] for each in installed.call("GET", f"{space}/pipelines")["items"]] == ["demo"]
    installed.call("POST", f"{space}/runs", {"pipelineRef": "demo"})
    for path in ("/api/v1/cluster", f"{space}/cluster", f"{space}/pipelines/demo"):
        installed.call("GET", path)
    installed.call("DELETE", f"{space}/secrets/mine")
    installed.call("DELETE", f"{space}/pipelines/demo")
    assert "forbidden" not in installed.said().lower()


async def test_a_developer_reads_no_secret_from_kubernetes(installed: Installed) -> None:
    server = json.loads((installed.folder / "api.kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    file = installed.folder / "developer.kubeconfig"
    file.write_text(kubeconfig("here", server, "developer", installed.token))
    async with connect(file) as client:
        for call in (client.list(SECRETS, "default"), client.get(SECRETS, "db", "default")):
            with pytest.raises(ForbiddenError):
                await call
    assert [each["name"] for each in installed.call("GET", "/api/v1/namespaces/default/secrets")["items"]] == ["db"]


async def test_the_receiver_reads_the_secrets_of_connections_and_no_other(installed: Installed) -> None:
    space = "/api/v1/namespaces/default"
    wanted = {"repository": "https://git.example.org/octo/a", "provider": "gitea"}
    credentials = {"credentials": {"username": "a", "password": "b"}}
    installed.call("PUT", f"{space}/connections/first", {**wanted, **credentials})
    installed.call("PUT", f"{space}/connections/second", wanted)
    async with (
        connect(installed.folder / "webhook.kubeconfig") as receiver,
        connect(installed.folder / "admin.kubeconfig") as admin,
    ):

        async def may_read(name: str) -> bool:
            try:
                await receiver.get(SECRETS, name, "default")
            except ForbiddenError:
                return False
            return True

        for name in ("first-webhook", "second-webhook"):
            await wait_until_async(lambda name=name: may_read(name), LONGEST, what=f"the right to read {name}")
        for name in ("db", "first-auth"):
            assert not await may_read(name)
        # Who may change connections does not make the receiver read what is not for them.
        spec = {"spec": {"webhookSecretRef": {"name": "db"}}}
        await admin.patch(REPOSITORY_CONNECTIONS, "second", spec, namespace="default")

        async def is_taken_back() -> bool:
            return not await may_read("second-webhook")

        await wait_until_async(is_taken_back, LONGEST, what="the right to read a Secret that is not used any more")
        assert not await may_read("db")
        with pytest.raises(ForbiddenError):
            await receiver.list(SECRETS, "default")
        for name in ("first", "second"):
            installed.call("DELETE", f"{space}/connections/{name}")

        async def is_removed() -> bool:
            return not (await admin.list(KUBE_ROLES, "default"))["items"]

        await wait_until_async(is_removed, LONGEST, what="the Role is removed")


async def test_the_api_registers_its_admission_webhook(installed: Installed) -> None:
    async with connect(installed.folder / "admin.kubeconfig") as admin:

        async def refusal() -> str:
            spec = {"steps": [{"name": "a", "image": "busybox:1.36", "commands": ["true"], "dependsOn": ["b"]}]}
            try:
                await admin.create(PIPELINE_CONFIGS, {"metadata": {"name": "wrong"}, "spec": spec}, "default")
            except ApiError as error:
                return str(error)
            await admin.delete(PIPELINE_CONFIGS, "wrong", namespace="default")
            return ""

        said = await wait_until_async(refusal, LONGEST, what="the refusal")
        assert 'admission webhook "pipelineconfigs.c8s.dev" denied the request: steps[0].dependsOn' in said
        secret = await admin.get(SECRETS, "c8s-admission", "c8s-system")
        assert sorted(secret["data"]) == ["tls.crt", "tls.key", "trusted.crt"]
    assert "forbidden" not in installed.said().lower()


async def test_accounts_do_not_have_the_permissions_of_each_other(installed: Installed) -> None:
    for role, resource in (("api", CONFIG_MAPS), ("operator", CONFIG_MAPS)):
        async with connect(installed.folder / f"{role}.kubeconfig") as client:
            with pytest.raises(ForbiddenError):
                await client.list(resource, "default")
    async with connect(installed.folder / "operator.kubeconfig") as client:
        with pytest.raises(ForbiddenError):
            await client.list(SECRETS, "default")


async def test_command_finds_the_cluster_and_creates_a_token(installed: Installed) -> None:
    """With what `c8s up --kind` leaves: a record, a kubeconfig, a context. The token is made by the command."""
    c8s = C8s(installed.folder / "home")
    folder = c8s.home / "state" / "c8s" / "c8s"
    folder.mkdir(parents=True, mode=0o700)
    port = int(installed.api.rpartition(":")[2])
    write_record(folder / "kind.json", ClusterRecord("c8s", Ports(port, 1), "image", container="abc"))
    (folder / "kubeconfig").write_text((installed.folder / "admin.kubeconfig").read_text())
    token = folder / "credentials" / "workbench.token"
    write_context(
        c8s.home / "config" / "c8s" / "config.yaml", "kind-c8s", Endpoint(installed.api, token, sandbox="c8s")
    )
    assert json.loads(c8s("runs", "-o", "json").stdout) == []
    assert token.stat().st_mode & 0o777 == 0o600
    assert c8s("kubeconfig").stdout.strip() == str(folder / "kubeconfig")
    assert "kind cluster" in c8s("up", "--name", "c8s", expect=1).stderr
    pipeline = write_pipeline(c8s.home, ["{name: a, image: 'busybox:1.36', commands: ['echo one', 'echo two']}"])
    out = c8s("run", str(pipeline), "--no-source").stdout
    assert parse_step_table(out) == {"a": "Succeeded"}
    assert [line.partition("| ")[2] for line in out.splitlines() if line.endswith(("| one", "| two"))] == ["one", "two"]
