"""Who may call what: walked from the route table itself, so that no route can be forgotten."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute

from controller.api.app import build_app
from controller.api.auth.permissions import PERMISSIONS, MissingPermissionError, permission_for
from controller.api.auth.route import GuardedRoute
from tests.unit.controller.api.fakes import ANN, BOB, FakeCapability, run_api

ROUTES: list[BaseRoute] = list(build_app().routes)
NAMES = {"ns": "a", "run": "hello-1", "step": "say", "slug": "say", "attempt": "1", "name": "db", "key": "sources/x"}
NAMES |= {"pipeline": "hello", "path": "dist/app", "connection": "hello", "delivery": "one"}
NAMES["digest"] = "sha256:" + "0" * 64


def operation(route: Any) -> str:
    return str(route.operation_id if isinstance(route, APIRoute) else route.name)


def path_of(route: Any, **names: str) -> str:
    return re.sub(r"{(\w+)(?::path)?}", lambda found: {**NAMES, **names}[found[1]], route.path)


HTTP = [
    (method, path_of(route), permission_for(operation(route)))
    for route in ROUTES
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]


def test_every_route_is_guarded_and_listed() -> None:
    assert {operation(route) for route in ROUTES} == set(PERMISSIONS)
    for route in ROUTES:
        assert isinstance(route, GuardedRoute | APIWebSocketRoute), route


def test_namespaced_permissions_are_reviewed_there() -> None:
    for route in ROUTES:
        rule = permission_for(operation(route))
        assert (rule.kind == "review") == ("{ns}" in str(getattr(route, "path", ""))), route


def test_a_route_without_a_rule_can_not_be_made() -> None:
    async def endpoint() -> None: ...

    with pytest.raises(MissingPermissionError):
        GuardedRoute("/new", endpoint, operation_id="new")
    with pytest.raises(MissingPermissionError):
        GuardedRoute("/new", endpoint)


def test_routes_have_every_kind_of_rule() -> None:
    """So that none of the tests below looks at nothing."""
    assert {rule.kind for _, _, rule in HTTP} == {"public", "user", "review", "path", "capability", "link"}


async def test_without_a_token_only_health_is_open(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for method, path, rule in HTTP:
            answer = await api.call(method, path, token=None)
            if rule.kind == "public":
                assert answer.status == 200, path
            elif rule.kind == "link":
                assert answer.problem == (422, "invalid"), path
            else:
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="c8s"'), path


@pytest.mark.parametrize(
    "header", ["Bearer nobodys", "Bearer", "Bearer ", "Bearer a b", "Basic token-of-ann", "token-of-ann"]
)
async def test_invalid_token_is_refused_everywhere(tmp_path: Path, header: str) -> None:
    async with run_api(tmp_path) as api:
        for method, path, rule in HTTP:
            if rule.kind not in ("public", "link"):
                answer = await api.call(method, path, token=None, headers={"Authorization": header})
                assert answer.status == 401, path


async def test_a_token_for_one_namespace_sees_nothing_of_another(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for method, path, rule in HTTP:
            if rule.kind != "review":
                continue
            assert (await api.call(method, path, token=BOB)).status == 403, path
            wanted = {"verb": rule.verb, "resource": rule.resource, "namespace": "a"}
            if rule.subresource:
                wanted["subresource"] = rule.subresource
            asked = [question["spec"].get("resourceAttributes", {}) for question in api.kubernetes.questions]
            assert any(wanted.items() <= each.items() for each in asked), path
        assert api.kubernetes.objects == {}


async def test_user_and_capability_tokens_are_not_interchangeable(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.capabilities["cap"] = FakeCapability("a", "hello-1", "u")
        for method, path, rule in HTTP:
            if rule.kind == "capability":
                assert (await api.call(method, path, token=ANN)).problem == (401, "unauthenticated"), path
            elif rule.kind in ("user", "review", "path") and method != "HEAD":
                assert (await api.call(method, path, token="cap")).problem == (401, "unauthenticated"), path


@pytest.mark.parametrize("name", ["..", "%2e%2e", "A", "a%2Fb", "a%0d%0aX:1", "a%00", "a" * 64, "%F0%9F%92%A9", "-a"])
async def test_names_that_nothing_can_have_lead_nowhere(tmp_path: Path, name: str) -> None:
    from yarl import URL

    async with run_api(tmp_path) as api:
        for route in ROUTES:
            for place in ("ns", "run", "slug", "name", "digest"):
                if isinstance(route, APIRoute) and f"{{{place}}}" in route.path:
                    url = URL(api.url + path_of(route, **{place: name}), encoded=True)
                    async with api.http.request(
                        sorted(route.methods or ())[0], url, headers={"Authorization": f"Bearer {ANN}"}
                    ) as answer:
                        assert answer.status in (401, 404, 405), (route.path, place)
        assert all("nothing" not in str(question) for question in api.kubernetes.questions)
        assert api.kubernetes.objects == {}
