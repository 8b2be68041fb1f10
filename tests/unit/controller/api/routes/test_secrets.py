"""Secrets: written and named, never read back."""

import base64
import io
import json
import logging
from pathlib import Path

import pytest

from controller.kube import SECRETS
from controller.logs.masking.weak_values import masking_warning
from tests.unit.controller.api.fakes import run_api

SECRETS_PATH = "/api/v1/namespaces/a/secrets"


async def test_values_go_in_and_only_names_come_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with run_api(tmp_path) as api:
            answers = [
                await api.call("PUT", f"{SECRETS_PATH}/db", json={"data": {"password": "hunter2"}}),
                await api.call("PUT", f"{SECRETS_PATH}/db", json={"data": {"user": "ann"}}),
                await api.call("GET", SECRETS_PATH),
            ]
            warnings = [masking_warning("user", b"ann")]
            assert answers[1].json == {"name": "db", "keys": ["password", "user"], "warnings": warnings}
            assert answers[2].json == {"items": [{"name": "db", "keys": ["password", "user"]}]}
            stored = api.kubernetes.objects[(SECRETS, "a", "db")]
            assert base64.b64decode(stored["data"]["password"]) == b"hunter2"
            assert stored["metadata"]["labels"]["c8s.dev/secret"] == "true"
            for answer in answers:
                assert b"hunter2" not in answer.body
                assert b"aHVudGVyMg" not in answer.body
    assert "hunter2" not in caplog.text


async def test_a_secret_of_someone_else_is_not_touched(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        theirs = {"metadata": {"name": "tls", "namespace": "a"}, "data": {"key": "eA=="}}
        await api.kubernetes.create(SECRETS, theirs, "a")
        put = await api.call("PUT", f"{SECRETS_PATH}/tls", json={"data": {"key": "mine"}})
        assert put.problem == (403, "not-a-c8s-secret")
        assert (await api.call("DELETE", f"{SECRETS_PATH}/tls")).problem == (403, "not-a-c8s-secret")
        assert (await api.call("GET", SECRETS_PATH)).json == {"items": []}
        assert api.kubernetes.objects[(SECRETS, "a", "tls")]["data"] == {"key": "eA=="}


async def test_a_secret_is_deleted(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await api.call("PUT", f"{SECRETS_PATH}/db", json={"data": {"k": "v"}})
        assert (await api.call("DELETE", f"{SECRETS_PATH}/db")).status == 204
        assert (await api.call("DELETE", f"{SECRETS_PATH}/db")).problem == (404, "not-found")


@pytest.mark.parametrize("data", [{}, {"a/b": "v"}, {"..": "v"}, {"": "v"}, {"k": 1}, {"k": None}])
async def test_invalid_secret_is_refused_without_repeating_it(tmp_path: Path, data: object) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("PUT", f"{SECRETS_PATH}/db", json={"data": data})
        assert answer.problem == (422, "invalid")
        assert api.kubernetes.objects == {}


async def test_a_refused_value_is_not_repeated(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("PUT", f"{SECRETS_PATH}/db", json={"data": {"k": ["hunter2"]}, "hunter3": 1})
        assert b"hunter2" not in answer.body
        body = io.BytesIO(json.dumps({"data": {"k": "x" * (1024 * 1024 + 1)}}).encode())
        as_json = {"Content-Type": "application/json"}
        large = await api.call("PUT", f"{SECRETS_PATH}/db", data=body, headers=as_json)
        assert large.problem == (413, "too-large")
        odd = await api.call("PUT", f"{SECRETS_PATH}/db", data=b'{"data": {"k": "\\ud800"}}', headers=as_json)
        assert odd.problem == (422, "invalid")


async def test_a_value_that_is_too_long_for_a_variable_is_warned_of(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for size, expected in ((131_071, 0), (131_072, 1)):
            body = {"data": {"key": "abcdefghij" * (size // 10) + "k" * (size % 10)}}
            answer = await api.call("PUT", f"{SECRETS_PATH}/big", json=body)
            assert answer.status == 200
            assert sum("`file`" in warning for warning in answer.json["warnings"]) == expected
