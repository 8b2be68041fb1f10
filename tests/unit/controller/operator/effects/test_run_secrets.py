"""Which Secrets of a namespace the pipelines of a run may use."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kube import SECRETS, AlreadyExistsError, NotFoundError
from controller.operator import names
from controller.operator.effects import run_secrets
from controller.operator.interfaces import CloneTokenError
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.model import Pipeline
from tests.unit.controller.operator.world import build_run, step

Json = dict[str, Any]
USE = {"secretRef": "db", "key": "password"}
DATA = {"password": "aHVzaA=="}


class SecretsClient:
    """Secrets by name; created ones are added."""

    def __init__(self, **secrets: Json) -> None:
        self.secrets = {
            name: {**secret, "metadata": {"name": name, **secret["metadata"]}} for name, secret in secrets.items()
        }

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Json:
        assert (resource, namespace) == (SECRETS, "team")
        if name not in self.secrets:
            raise NotFoundError(f"no {name}", status=404)
        return copy.deepcopy(self.secrets[name])

    async def create(self, resource: Any, secret: Json, namespace: str) -> Json:
        self.secrets[secret["metadata"]["name"]] = secret
        return secret


def secret(**labels: str) -> Json:
    return {"metadata": {"labels": {f"c8s.dev/{name}": value for name, value in labels.items()}}, "data": DATA}


async def copy_and_find_missing(client: Any) -> tuple[run_secrets.CopiedSecrets, dict[str, str]]:
    run = build_run([step("a", secrets=[USE])])
    steps = expand_steps(Pipeline.model_validate(run["spec"]["pipeline"]))
    copied = await run_secrets.copy_secrets(client, run, steps)
    return copied, run_secrets.missing_secrets(steps, copied)


async def test_labelled_secret_is_copied() -> None:
    copied, missing = await copy_and_find_missing(SecretsClient(db=secret(secret="true")))
    assert (list(copied.values.values()), missing) == ([b"hush"], {})


async def test_secret_of_the_external_secrets_operator_is_used_if_its_template_sets_the_label() -> None:
    sample = Path(__file__).parents[5] / "docs" / "cluster" / "external-secret.yaml"
    target = yaml.safe_load(sample.read_text())["spec"]["target"]
    owner = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "db", "uid": "u"}
    managed = {"reconcile.external-secrets.io/managed": "true"}
    made = {
        "metadata": {
            "labels": {**target["template"]["metadata"]["labels"], **managed},
            "annotations": {"reconcile.external-secrets.io/data-hash": "0"},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "immutable": False,
        "type": "Opaque",
        "data": DATA,
    }
    copied, missing = await copy_and_find_missing(SecretsClient(db=made))
    assert (list(copied.values.values()), missing) == ([b"hush"], {})
    made["metadata"]["labels"] = managed
    _, missing = await copy_and_find_missing(SecretsClient(db=made))
    assert "it lacks the label c8s.dev/secret=true" in missing["a"]


GIT = {"git": {"url": "https://git.example.org/a.git", "secretRef": "git"}}
CREDENTIALS = {"username": "Ym90", "password": "aHVzaA==", "other": "eA=="}


def git_secret(**labels: str) -> Json:
    return {**secret(**labels), "data": CREDENTIALS}


async def test_credentials_for_the_repository_are_copied() -> None:
    client = SecretsClient(git=git_secret(secret="true"))
    copied = await run_secrets.copy_secrets(client, build_run([step("a")], spec={"source": GIT}), ())
    assert copied.values == {"git.username": b"bot", "git.password": b"hush"}
    assert copied.has_git_credentials


@pytest.mark.parametrize(
    ("hosts", "is_of_connection", "is_copied"),
    [("git.example.org", True, True), ("git.example.org", False, False), ("other.org", True, False), ("", True, False)],
)
async def test_credentials_of_a_connection_go_to_its_own_hosts(
    hosts: str, is_of_connection: bool, is_copied: bool
) -> None:
    own = {**secret(**{"forge-secret": "true"}), "data": CREDENTIALS}
    own["metadata"]["annotations"] = {"c8s.dev/hosts": hosts}
    client: Any = SecretsClient(git=own)
    run = build_run([step("a")], spec={"source": GIT})
    copied = await run_secrets.copy_secrets(client, run, (), is_of_connection=is_of_connection)
    assert copied.has_git_credentials is is_copied
    reason = run_secrets.why_not_clone_with("git", own, GIT["git"]["url"], is_of_connection=is_of_connection)
    assert bool(reason) is not is_copied


async def test_a_connection_with_a_token_alone_clones_with_it() -> None:
    own = app_secret() | {"data": {"token": "Z2hw"}}
    copied = await run_secrets.copy_secrets(
        SecretsClient(git=own), build_run([step("a")], spec={"source": GIT}), (), is_of_connection=True
    )
    assert copied.values["git.password"] == b"ghp"
    assert copied.values["git.username"] == b"x-access-token"
    run = build_run([step("a")], spec={"source": GIT, "trigger": {"provider": "bitbucket"}})
    client = SecretsClient(git=own)
    copied = await run_secrets.copy_secrets(client, run, (), is_of_connection=True)
    assert copied.values["git.username"] == b"x-token-auth"


class Forge:
    """Gives a token, or an error."""

    def __init__(self, error: CloneTokenError | None = None) -> None:
        self.error = error
        self.asked = 0

    async def token(self, run: Any, secret: Any) -> str | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "ghs_1"


def app_secret() -> Json:
    own: Json = {**secret(**{"forge-secret": "true"}), "data": {"app-id": "MQ==", "private-key": "eA=="}}
    own["metadata"]["annotations"] = {"c8s.dev/hosts": "git.example.org"}
    return own


async def copy_for_clone(client: Any, forge: Forge, *, is_of_connection: bool = True) -> run_secrets.CopiedSecrets:
    run = build_run([step("a")], spec={"source": GIT})
    return await run_secrets.copy_secrets(client, run, (), is_of_connection=is_of_connection, clone_tokens=forge)


async def test_a_clone_with_an_app_gets_one_token_of_the_forge() -> None:
    forge = Forge()
    copied = await copy_for_clone(SecretsClient(git=app_secret()), forge)
    assert copied.values == {"git.username": b"x-access-token", "git.password": b"ghs_1"}
    assert forge.asked == 1


async def test_a_run_whose_secret_exists_needs_no_other_token() -> None:
    client, forge = SecretsClient(git=app_secret()), Forge()
    run = build_run([step("a")], spec={"source": GIT})
    metadata = {"name": names.run_secret_name(run), "ownerReferences": [names.owner_reference(run)]}
    client.secrets[metadata["name"]] = {"metadata": metadata, "data": {"git.password": "eA=="}}

    async def exists(*_: Any) -> Json:
        raise AlreadyExistsError("there", status=409)

    client.create = exists  # type: ignore[method-assign]
    copied = await copy_for_clone(client, forge)
    assert (copied.values, forge.asked) == ({"git.password": b"x"}, 0)


async def test_a_forge_that_gives_no_token_is_asked_again_unless_that_is_final() -> None:
    with pytest.raises(CloneTokenError):
        await copy_for_clone(SecretsClient(git=app_secret()), Forge(CloneTokenError("away", is_final=False)))
    copied = await copy_for_clone(SecretsClient(git=app_secret()), Forge(CloneTokenError("no App", is_final=True)))
    assert (copied.has_git_credentials, copied.git_problem) == (False, "no App")
    forge = Forge()
    assert not (await copy_for_clone(SecretsClient(git=app_secret()), forge, is_of_connection=False)).values
    assert forge.asked == 0


async def test_credentials_that_are_not_for_pipelines_are_not_copied() -> None:
    client = SecretsClient(git=git_secret())
    copied = await run_secrets.copy_secrets(client, build_run([step("a")], spec={"source": GIT}), ())
    assert (copied.values, copied.has_git_credentials) == ({}, False)


@pytest.mark.parametrize(
    ("key", "value", "is_confidential"),
    [
        ("git.password", b"hush", True),
        ("git.ssh-privatekey", b"KEY", True),
        ("git.known_hosts", b"git.example.org ssh-ed25519 AAAA", False),
        ("git.username", b"x-access-token", False),
        ("git.username", b"ghp_0123456789abcdef", True),
        ("0123456789abcdef0123456789abcdef", b"hush", True),
    ],
)
def test_host_keys_and_names_of_users_are_not_confidential(key: str, value: bytes, is_confidential: bool) -> None:
    assert names.is_confidential(key, value) is is_confidential


async def test_missing_secret_is_reported_with_the_command() -> None:
    _, missing = await copy_and_find_missing(SecretsClient())
    assert missing == {"a": "the secret db has no key password; set it with `c8s secrets set db password`"}


@pytest.mark.parametrize("labels", [{}, {"secret": "false"}, {"run": "ci-7"}, {"run": "ci-7", "secret": "true"}])
async def test_other_secrets_are_withheld_and_not_copied(labels: dict[str, str]) -> None:
    client = SecretsClient(db=secret(**labels))
    copied, missing = await copy_and_find_missing(client)
    assert (copied.values, copied.withheld) == ({}, {"db"})
    assert client.secrets[names.secrets_name("ci-1", build_run(step("a"))["metadata"]["uid"])]["data"] == {}
    assert "lacks the label c8s.dev/secret=true" in missing["a"]
    assert "`kubectl label secret db c8s.dev/secret=true`" in missing["a"]


def test_digests_tell_values_apart_only_with_the_key() -> None:
    pipeline = build_run((step("a", secrets=[USE]),))["spec"]["pipeline"]
    [user] = expand_steps(Pipeline.model_validate(pipeline))
    name = names.secret_key(user.step.secrets[0])

    def digest(value: bytes, key: bytes = b"k") -> str:
        return run_secrets.secret_digests([user], run_secrets.CopiedSecrets({name: value}), key)["a"]

    assert digest(b"1") == digest(b"1")
    assert len({digest(b"1"), digest(b"2"), digest(b"1", b"other")}) == 3
    assert run_secrets.secret_digests([user], run_secrets.CopiedSecrets({}), b"k") == {}, "one is missing"
