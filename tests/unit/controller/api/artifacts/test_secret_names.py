"""File names of artifacts that contain a secret."""

import base64
from typing import Any

import pytest

from controller.api.artifacts.secret_names import file_name_check
from controller.api.http.problems import ApiProblemError
from controller.kube import SECRETS, NotFoundError, Resource
from controller.operator.names import provided_secret_name, secrets_name
from controller.run_types.keys import AttemptKey

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


async def check_file_names(client: Any, run: dict[str, Any], paths: list[str]) -> None:
    check = await file_name_check(client, run, AttemptKey("a", 1))
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


class ProvidedClient:
    """Has copies of what the CSI driver mounted into these attempts."""

    def __init__(self, *attempts: tuple[str, int]) -> None:
        self.names = {provided_secret_name("ci-1", "uid-1", slug, number) for slug, number in attempts}
        self.asked: list[str] = []

    async def get(self, _: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        self.asked.append(name)
        if name not in self.names:
            raise NotFoundError("no secret", status=404)
        return {"data": {"key": base64.b64encode(VALUE).decode()}}


def mounting_run(*attempts: dict[str, Any], name: str = "a", **more: Any) -> dict[str, Any]:
    steps = [{"name": "a", "secretProviders": [{"class": "v", "secret": "s"}]}, {"name": "b"}]
    statuses = [{"name": name, "slug": "a", "attempts": list(attempts)}, {"name": "b", "slug": "b", "attempts": []}]
    return {**RUN, "spec": {"pipeline": {"steps": steps}}, "status": {"steps": statuses}, **more}


def attempt(number: int, phase: str = "Running", *, running: bool = True) -> dict[str, Any]:
    return {"number": number, "phase": phase, "times": {"running": "2026-01-01T00:00:00Z"} if running else {}}


@pytest.mark.parametrize("name", ["a", "a (python=3.12)"])
async def test_what_the_driver_mounted_is_refused_in_names_too(name: str) -> None:
    with pytest.raises(ApiProblemError, match="value of a secret"):
        await check_file_names(ProvidedClient(("a", 1)), mounting_run(attempt(1), name=name), [VALUE.decode()])


@pytest.mark.parametrize(
    "run",
    [
        mounting_run(attempt(1)),
        mounting_run(),
        mounting_run(attempt(1, "Failed")),
        mounting_run(attempt(2)),
        mounting_run(status={}),
    ],
)
async def test_nothing_is_stored_before_what_was_mounted_is_known(run: dict[str, Any]) -> None:
    with pytest.raises(ApiProblemError, match="not known yet") as caught:
        await check_file_names(ProvidedClient(), run, ["out"])
    assert caught.value.slug == "unavailable", "which agents try again"


async def test_attempts_that_ended_unknown_or_did_not_start_keep_nobody_waiting() -> None:
    client = ProvidedClient(("a", 1))
    await check_file_names(client, mounting_run(attempt(1), attempt(2, running=False), attempt(3, "Failed")), ["out"])
    assert len(client.asked) == 3
