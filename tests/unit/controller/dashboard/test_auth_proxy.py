"""Whom the dashboard believes who someone is: a proxy with the secret, and nobody else."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from controller.api.auth.authenticator import User
from controller.api.http.problems import ApiProblemError
from controller.dashboard import session
from controller.dashboard.auth_proxy import MAX_GROUPS, MAX_NAME, AuthProxy
from controller.kube import PIPELINE_RUNS
from controller.settings import AuthProxySettings
from controller.settings.auth_proxy import parse_network
from tests.unit.controller.api import fakes
from tests.unit.controller.dashboard.browser import RUNS, Browser, create_run, run_dashboard

SECRET = "a-secret-of-the-proxy-with-32-characters"
ALICE = {"X-Forwarded-User": "alice@example.org", "X-Forwarded-Groups": "dev,ops"}


def settings(folder: Path, *addresses: str, **more: Any) -> AuthProxySettings:
    file = folder / "secret"
    if not file.exists():
        file.write_text(SECRET + "\n")
    networks = tuple(map(parse_network, addresses or ("127.0.0.0/8",)))
    given = {"user_header": "x-forwarded-user", "groups_header": "x-forwarded-groups", "name_prefix": "oidc:"}
    return AuthProxySettings(file, networks, **{**given, "sign_out": "/oauth2/sign_out", **more})


@dataclass
class Proxy:
    """A reverse proxy that signs everyone in: it removes what clients send in its headers, and sets its own."""

    upstream: str
    sent: Mapping[str, str]
    url: str = ""
    requests: list[str] = field(default_factory=list)
    sign_in: str = ""
    """Where it leads everyone to while nobody is signed in."""
    http: aiohttp.ClientSession = field(init=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        if self.sign_in:
            raise web.HTTPFound(self.sign_in)
        removed = {"x-forwarded-user", "x-forwarded-groups", "authorization", "x-c8s-proxy-secret"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in removed}
        body = await request.read()
        async with self.http.request(
            request.method, self.upstream + request.raw_path, headers={**headers, **self.sent}, data=body,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            kept = {name: answer.headers[name] for name in ("Content-Type", "Location") if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response


@asynccontextmanager
async def run_proxy(upstream: str, sent: Mapping[str, str]) -> AsyncIterator[Proxy]:
    proxy = Proxy(upstream, sent)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as proxy.http:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


@asynccontextmanager
async def behind_proxy(folder: Path, sent: Mapping[str, str], **more: Any) -> AsyncIterator[tuple[Browser, Proxy]]:
    """A browser whose requests go through a proxy that sends these headers."""
    async with (
        run_dashboard(folder, proxy=settings(folder), **more) as direct,
        run_proxy(direct.api.url, sent) as proxy,
    ):
        yield Browser(direct.api, dashboard=direct.dashboard, url=proxy.url), proxy


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch) -> None:
    """She may do everything in the namespace a."""
    monkeypatch.setitem(fakes.RIGHTS, "no token of hers", ("oidc:alice@example.org", {"a"}))


def basic(user: str, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("proof", [{"X-C8s-Proxy-Secret": SECRET}, basic("alice@example.org")], ids=["header", "basic"])
async def test_user_of_the_proxy_has_the_rights_that_kubernetes_gives(tmp_path: Path, proof: dict[str, str]) -> None:
    async with behind_proxy(tmp_path, {**ALICE, **proof}) as (browser, _):
        await create_run(browser.api)
        page = await browser.get(f"{RUNS}/ci-1")
        assert page.status == 200
        assert "oidc:alice@example.org" in page.body.decode()
        assert '<a href="/oauth2/sign_out" hx-boost="false">Sign out</a>' in page.body.decode()
        assert browser.cookies == {}
        asked = [each["spec"] for each in browser.api.kubernetes.questions if each["kind"] == "SubjectAccessReview"]
        assert {each["user"] for each in asked} == {"oidc:alice@example.org"}
        assert {tuple(each["groups"]) for each in asked} == {("oidc:dev", "oidc:ops", "system:authenticated")}
        assert not [each for each in browser.api.kubernetes.questions if each["kind"] == "TokenReview"]
        refused = await browser.get("/ui/namespaces/b/runs")
        assert refused.status == 403
        assert "oidc:alice@example.org may not list pipelineruns in the namespace b" in refused.body.decode()


@pytest.mark.usefixtures("alice")
async def test_forms_need_their_secret_and_the_run_names_its_user(tmp_path: Path) -> None:
    async with behind_proxy(tmp_path, {**ALICE, "X-C8s-Proxy-Secret": SECRET}) as (browser, _):
        await create_run(browser.api)
        path, token = f"{RUNS}/ci-1/cancel", await browser.form_token(f"{RUNS}/ci-1")
        other = browser.dashboard.sessions.proxied(User("oidc:mallory"))
        for wrong in ("", "0" * 64, browser.dashboard.sessions.form_token(other)):
            assert (await browser.post(path, {"csrf": wrong})).status == 403
        assert (await browser.post(path, {"csrf": token}, Origin="http://evil.example")).status == 403
        assert (await browser.get(RUNS, Host="evil.example")).status == 421
        assert (await browser.post(path, {"csrf": token})).status == 303
        assert (await browser.api.kubernetes.get(PIPELINE_RUNS, "ci-1", "a"))["spec"]["cancel"] is True


async def test_forms_are_taken_for_a_day_at_most(tmp_path: Path) -> None:
    sessions = session.Sessions(b"key", lambda: times[0])
    times = [1_000_000_000.0]
    user = User("oidc:alice")
    token = sessions.form_token(sessions.proxied(user))
    times[0] += session.FORM_SECONDS
    assert sessions.is_form_token(sessions.proxied(user), token)
    times[0] += session.FORM_SECONDS
    assert not sessions.is_form_token(sessions.proxied(user), token)


@pytest.mark.usefixtures("alice")
async def test_headers_without_the_secret_mean_nothing(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path, proxy=settings(tmp_path)) as browser:
        for headers in (ALICE, {"X-Forwarded-User": "system:admin"}, {**ALICE, "Authorization": "Basic x"},
                        {**ALICE, "Authorization": "Bearer " + SECRET}):  # fmt: skip
            answer = await browser.request("GET", RUNS, headers)
            assert (answer.status, answer.headers["Location"][:11]) == (303, "/ui/sign-in"), headers
        assert browser.api.kubernetes.questions == []


@pytest.mark.usefixtures("alice")
async def test_secret_counts_for_pages_only_and_only_if_it_is_configured(tmp_path: Path) -> None:
    headers = {**ALICE, "X-C8s-Proxy-Secret": SECRET}
    async with run_dashboard(tmp_path, proxy=settings(tmp_path)) as browser:
        answer = await browser.request("GET", "/api/v1/namespaces/a/runs", headers)
        assert answer.problem == (401, "unauthenticated")
        answer = await browser.request("GET", "/api/v1/namespaces/a/runs", {**ALICE, **basic("alice@example.org")})
        assert answer.problem == (401, "unauthenticated")
    async with run_dashboard(tmp_path) as browser:
        assert (await browser.request("GET", RUNS, headers)).status == 303


@pytest.mark.usefixtures("alice")
async def test_secret_from_another_address_and_a_wrong_one_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_dashboard(tmp_path, proxy=settings(tmp_path, "10.244.0.0/16")) as browser:
        answer = await browser.request("GET", RUNS, {**ALICE, "X-C8s-Proxy-Secret": SECRET})
        assert answer.status == 403
        assert "127.0.0.1, which is not in --auth-proxy-address" in answer.body.decode()
        # From elsewhere, a wrong secret is no secret: nobody learns whether it is near.
        assert (await browser.request("GET", RUNS, {**ALICE, "X-C8s-Proxy-Secret": "x"})).status == 303
    async with run_dashboard(tmp_path, proxy=settings(tmp_path)) as browser:
        for wrong in (
            {"X-C8s-Proxy-Secret": SECRET + "x"},
            {"X-C8s-Proxy-Secret": ""},
            basic("alice@example.org", "x"),
        ):
            assert (await browser.request("GET", RUNS, {**ALICE, **wrong})).status == 403
    assert SECRET not in caplog.text
    assert "refused" in caplog.text


def raw(*headers: tuple[str, str | bytes], peer: str = "127.0.0.1") -> HTTPConnection:
    """A request with these headers, as they are on the wire."""
    encoded = [(name.lower().encode(), value.encode() if isinstance(value, str) else value) for name, value in headers]
    scope = {"type": "http", "headers": encoded, "client": (peer, 5), "path": "/ui/"}
    return HTTPConnection(scope)


PROOF = ("X-C8s-Proxy-Secret", SECRET)
NAME = ("X-Forwarded-User", "alice")
GROUPS = "X-Forwarded-Groups"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([PROOF, NAME, ("X-Forwarded-User", "bob")], "2 times"),
        ([PROOF, PROOF, NAME], "2 times"),
        ([PROOF, NAME, ("X-Forwarded-Groups", "a"), ("X-Forwarded-Groups", "b")], "2 times"),
        ([PROOF, NAME, ("X_Forwarded_User", "bob")], "underscores"),
        ([PROOF, NAME, ("X-Forwarded_Groups", "admins")], "underscores"),
        ([PROOF, NAME, ("X_C8s_Proxy_Secret", "x")], "underscores"),
        ([PROOF, ("X-Forwarded-User", "system:admin")], "system:"),
        ([PROOF, ("X-Forwarded-User", "SYSTEM:admin")], "system:"),
        ([PROOF, NAME, ("X-Forwarded-Groups", "dev, system:masters")], "system:"),
        ([PROOF, ("X-Forwarded-User", "x" * (MAX_NAME + 1))], "256 characters"),
        ([PROOF, NAME, ("X-Forwarded-Groups", ",".join(map(str, range(MAX_GROUPS + 1))))], "500 groups"),
        ([PROOF, ("X-Forwarded-User", "al\x00ice")], "can't be seen"),
        ([PROOF, ("X-Forwarded-User", "al\u202eice")], "can't be seen"),
        ([PROOF, NAME, ("X-Forwarded-Groups", "de\u200bv")], "can't be seen"),
        ([PROOF, ("X-Forwarded-User", b"al\xffice")], "UTF-8"),
        ([*basic("bob").items(), NAME], "not the one in authorization"),
        ([*basic("alice").items(), *basic("alice").items(), NAME], "2 times"),
        ([*basic("bob").items()], "not the one in authorization"),
    ],
)
def test_what_no_proxy_sends_is_refused(tmp_path: Path, headers: list[tuple[str, str | bytes]], why: str) -> None:
    proxy = AuthProxy.of(settings(tmp_path))
    with pytest.raises(ApiProblemError, match=re.escape(why)) as caught:
        proxy.user_of(raw(*headers))
    assert caught.value.kind.status == 403
    assert SECRET not in caught.value.detail


def test_names_are_taken_as_they_are_behind_their_prefix(tmp_path: Path) -> None:
    proxy = AuthProxy.of(settings(tmp_path))
    found = proxy.user_of(raw(PROOF, ("X-Forwarded-User", " Zoë "), ("X-Forwarded-Groups", "a b, ,c,c")))
    assert found is not None
    assert (found.name, found.groups) == ("oidc:Zoë", ("oidc:a b", "oidc:c", "system:authenticated"))
    bare = AuthProxy.of(settings(tmp_path, name_prefix=""))
    assert getattr(bare.user_of(raw(PROOF, NAME)), "name", "") == "alice"
    named = AuthProxy.of(settings(tmp_path, user_header="remote-user"))
    assert named.user_of(raw(PROOF, NAME)) is None
    assert getattr(named.user_of(raw(PROOF, ("Remote-User", "al"), NAME)), "name", "") == "oidc:al"


NAMES = st.one_of(st.text(max_size=300), st.from_regex(r"\A[ ,]*system:[a-z]*"))


@pytest.fixture(scope="module")
def believed(tmp_path_factory: pytest.TempPathFactory) -> AuthProxy:
    return AuthProxy.of(settings(tmp_path_factory.mktemp("proxy")))


@given(name=NAMES, groups=NAMES)
def test_no_name_is_one_of_kubernetes(believed: AuthProxy, name: str, groups: str) -> None:
    headers = [(header, text.encode("utf-8", "replace")) for header, text in ((NAME[0], name), (GROUPS, groups))]
    try:
        found = believed.user_of(raw(PROOF, *headers))
    except ApiProblemError:
        return
    if found is not None:
        assert found.name.startswith("oidc:")
        assert all(each.startswith("oidc:") for each in found.groups[:-1])
        assert found.groups[-1] == "system:authenticated"


@pytest.mark.parametrize(
    ("peer", "is_near"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False), ("fd00::1", True), ("fe80::1", False),
     ("", False), ("testclient", False)],
)  # fmt: skip
def test_address_of_the_peer_counts(tmp_path: Path, peer: str, is_near: bool) -> None:
    proxy = AuthProxy.of(settings(tmp_path, "10.1.0.0/16", "fd00::/64"))
    if is_near:
        assert proxy.user_of(raw(PROOF, NAME, peer=peer)) is not None
    else:
        with pytest.raises(ApiProblemError, match="auth-proxy-address"):
            proxy.user_of(raw(PROOF, NAME, ("X-Forwarded-For", "10.1.2.3"), peer=peer))


def test_secret_is_replaced_without_a_restart(tmp_path: Path) -> None:
    proxy = AuthProxy.of(settings(tmp_path))
    new = "another-secret-of-the-proxy-which-is-new"
    (tmp_path / "secret").write_text(f"{new}\n{SECRET}\n")
    assert proxy.user_of(raw(PROOF, NAME)) is not None
    assert proxy.user_of(raw((PROOF[0], new), NAME)) is not None
    (tmp_path / "secret").write_text(new)
    with pytest.raises(ApiProblemError):
        proxy.user_of(raw(PROOF, NAME))
    (tmp_path / "secret").unlink()
    with pytest.raises(ApiProblemError):
        proxy.user_of(raw((PROOF[0], new), NAME))


@pytest.mark.usefixtures("alice")
async def test_proxy_decides_who_it_is_whatever_cookie_there_is(tmp_path: Path) -> None:
    async with behind_proxy(tmp_path, {**ALICE, "X-C8s-Proxy-Secret": SECRET}) as (browser, _):
        direct = Browser(browser.api)
        await direct.sign_in()
        port = browser.url.rpartition(":")[2]
        browser.cookies = {f"c8s-session-{port}": next(iter(direct.cookies.values()))}
        assert "oidc:alice@example.org" in (await browser.get(RUNS)).body.decode()
        # What leads to the form, or brings a ticket, leads on.
        assert (await browser.get(f"/ui/sign-in?to={RUNS}")).headers["Location"] == RUNS
        assert (await browser.get(f"/ui/enter?ticket=old&to={RUNS}")).headers["Location"] == RUNS
        await create_run(browser.api)
        answer = await browser.post("/ui/sign-out", {"csrf": await browser.form_token(f"{RUNS}/ci-1")})
        assert answer.headers["Location"] == "/oauth2/sign_out"


async def test_proxy_that_names_nobody_leads_to_the_form(tmp_path: Path) -> None:
    async with behind_proxy(tmp_path, {"X-C8s-Proxy-Secret": SECRET, "X-Forwarded-Groups": "dev"}) as (browser, _):
        assert (await browser.get(RUNS)).status == 303
        assert (await browser.get("/ui/sign-in")).status == 200


@pytest.mark.usefixtures("alice")
async def test_stream_ends_after_a_while_so_that_the_proxy_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {**ALICE, "X-C8s-Proxy-Secret": SECRET}
    async with behind_proxy(tmp_path, sent, heartbeat_seconds=0.01) as (browser, proxy):
        await create_run(browser.api)
        monkeypatch.setattr(session, "PROXIED_STREAM_SECONDS", 0)
        answer = await asyncio.wait_for(browser.get(f"{RUNS}/ci-1/events", Accept="text/event-stream"), 30)
        assert answer.status == 200
        assert proxy.requests == [f"{RUNS}/ci-1/events"]
