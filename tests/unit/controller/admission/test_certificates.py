"""The certificate is made once for all replicas and renewed in time, and no client is left without one it trusts."""

from __future__ import annotations

import asyncio
import base64
import copy
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.admission.certificates import LIFETIME, RENEW_BEFORE, Certificate, CertificateStore
from controller.kube import AlreadyExistsError, ConflictError, NotFoundError

Json = dict[str, Any]
NAMES = ["c8s-admission.c8s-system.svc"]
START = datetime(2026, 11, 29, tzinfo=UTC)


class Secrets:
    """The Secret, with versions."""

    def __init__(self) -> None:
        self.stored: Json | None = None
        self.version = 0

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        await asyncio.sleep(0)
        if self.stored is None:
            raise NotFoundError("none", status=404)
        return copy.deepcopy(self.stored)

    async def create(self, resource: Any, secret: Json, namespace: str) -> None:
        if self.stored is not None:
            raise AlreadyExistsError("there", status=409)
        self._store(secret)

    async def update(self, resource: Any, secret: Json) -> None:
        if self.stored is None or secret["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        self._store(secret)

    def _store(self, secret: Json) -> None:
        self.version += 1
        self.stored = {**secret, "metadata": {**secret["metadata"], "resourceVersion": str(self.version)}}


class World:
    def __init__(self, names: list[str] | None = None) -> None:
        self.secrets, self.now = Secrets(), START
        self.names = names or NAMES

    def store(self) -> CertificateStore:
        client: Any = self.secrets
        return CertificateStore(client, "c8s-system", self.names, ["127.0.0.1"], lambda: self.now)


def trusts(trusted: str) -> int:
    context = ssl.create_default_context(cadata=trusted)
    return len(context.get_ca_certs())


async def test_it_is_made_once_and_used_by_every_replica() -> None:
    world = World()
    first, second, third = await asyncio.gather(*(world.store().ensure() for _ in range(3)))
    assert first == second == third
    assert world.secrets.version == 1
    assert trusts(first.trusted) == 1
    assert first.private_key not in repr(first)


async def test_it_is_renewed_in_time_and_the_one_before_stays_trusted_while_it_is_valid() -> None:
    world = World()
    first = await world.store().ensure()
    world.now += LIFETIME - RENEW_BEFORE - timedelta(minutes=1)
    assert await world.store().ensure() == first
    world.now += timedelta(minutes=2)
    second = await world.store().ensure()
    assert second.certificate != first.certificate
    assert first.certificate in second.trusted
    assert trusts(second.trusted) == 2
    for _ in range(4):
        world.now += LIFETIME - RENEW_BEFORE + timedelta(days=1)
        last = await world.store().ensure()
    assert first.certificate not in last.trusted, "it has expired"
    assert trusts(last.trusted) <= 3


async def test_a_certificate_for_other_names_or_a_damaged_one_is_replaced() -> None:
    world = World()
    first = await world.store().ensure()
    world.names = ["other.c8s-system.svc"]
    second = await world.store().ensure()
    assert second.certificate != first.certificate
    for data in ({}, {"tls.crt": "%"}, dict.fromkeys(("tls.crt", "tls.key", "trusted.crt"), "eA==")):
        assert world.secrets.stored is not None
        world.secrets.stored["data"] = data
        assert trusts((await world.store().ensure()).trusted) == 1


async def test_a_clock_that_was_set_back_does_not_make_it_unfit() -> None:
    world = World()
    first = await world.store().ensure()
    assert first.is_fit(NAMES, ["127.0.0.1"], START - timedelta(hours=23))
    assert not first.is_fit(NAMES, ["127.0.0.1"], START - timedelta(days=2))
    assert not first.is_fit([*NAMES, "other"], [], START)
    assert not first.is_fit(NAMES, ["::1"], START)
    assert not Certificate("", "", "").is_fit(NAMES, [], START)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "trusted.crt"])
async def test_the_secret_has_what_a_server_needs(name: str) -> None:
    world = World()
    await world.store().ensure()
    assert world.secrets.stored is not None
    assert "-----BEGIN" in base64.b64decode(world.secrets.stored["data"][name]).decode()
    assert world.secrets.stored["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "c8s"}
