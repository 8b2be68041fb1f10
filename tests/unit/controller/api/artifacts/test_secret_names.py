"""File names of artifacts that contain a secret."""

import base64
from typing import Any

import pytest

from controller.api.artifacts.secret_names import file_name_check
from controller.api.http.problems import ApiProblemError
from controller.kube import SECRETS, NotFoundError, Resource
from controller.operator.names import secrets_name

VALUE = b"correct-horse-battery"
RUN = {
    "metadata": {"name": "ci-1", "namespace": "a", "uid": "uid-1"},
    "spec": {"pipeline": {"steps": [{"secrets": [{}]}]}},
}


class RunSecretClient:
    """Has the run's own Secret, or none."""

    def __init__(self, value: bytes | None = VALUE) -> None:
        self.value = value
        self.requests = 0

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        self.requests += 1
        assert (resource, name, namespace) == (SECRETS, secrets_name("ci-1", "uid-1"), "a")
        if self.value is None:
            raise NotFoundError("no secret")
        return {"data": {"key": base64.b64encode(self.value).decode()}}


async def check_file_names(client: RunSecretClient, run: dict[str, Any], paths: list[str]) -> None:
    check = await file_name_check(client, run)
    if check is not None:
        check(paths)


@pytest.mark.parametrize(
    "name", [VALUE.decode(), VALUE.hex(), base64.b64encode(VALUE).decode(), "correct-ho\u200brse-battery"]
)
async def test_a_secret_in_a_file_name_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(ApiProblemError) as caught:
        await check_file_names(RunSecretClient(), RUN, ["out/a", f"out/x{name}y/b"])
    assert "the value of a secret" in caught.value.detail
    assert name not in caught.value.detail


async def test_a_secret_in_the_last_of_many_names_is_found() -> None:
    names = [f"out/file-{number:06d}" for number in range(20_000)]
    await check_file_names(RunSecretClient(), RUN, names)
    with pytest.raises(ApiProblemError):
        await check_file_names(RunSecretClient(), RUN, [*names, VALUE.decode()])


async def test_a_run_without_secrets_asks_for_none() -> None:
    client = RunSecretClient()
    await check_file_names(client, {**RUN, "spec": {"pipeline": {"steps": [{}]}}}, [VALUE.decode()])
    assert client.requests == 0
    await check_file_names(RunSecretClient(None), RUN, [VALUE.decode()])


async def test_the_credentials_for_the_repository_count_too() -> None:
    source = {"git": {"url": "https://git.example.org/a.git", "secretRef": "git"}}
    run = {**RUN, "spec": {"pipeline": {"steps": [{}]}, "source": source}}
    with pytest.raises(ApiProblemError):
        await check_file_names(RunSecretClient(), run, [VALUE.decode()])
