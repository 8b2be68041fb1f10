"""Who gets in: tickets, tokens, cookies, forms, and what is refused."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.auth.authenticator import ALLOWED_TTL, TICKET_TTL
from controller.dashboard.install import ROUTERS
from controller.dashboard.page_route import PageRoute
from controller.dashboard.pages.sign_in import ENTRY_PATH, HOME, own_page
from controller.dashboard.session import MAX_TOKEN_BYTES, SESSION_SECONDS, Sessions
from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api import fakes
from tests.unit.controller.api.fakes import ANN, BOB, run_api
from tests.unit.controller.dashboard.browser import RUNS, Browser, create_run, run_dashboard, step

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_ticket_opens_the_dashboard_once(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        ticket = await browser.api.call("POST", "/api/v1/tickets", json={"path": ENTRY_PATH})
        address = f"{ENTRY_PATH}?ticket={ticket.json['ticket']}&to={RUNS}"
        entered = await browser.get(address)
        assert entered.status == 200
        assert f'content="0;url={RUNS}"' in entered.body.decode()
        assert (await browser.get(RUNS)).status == 200

        thief = Browser(browser.api)
        assert (await thief.get(address)).status == 401
        assert thief.cookies == {}
        assert (await thief.get(RUNS)).status == 303
        # The one who is signed in may load the address again.
        assert (await browser.get(address)).headers["Location"] == RUNS


async def test_ticket_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_dashboard(tmp_path) as browser:
        ticket = await browser.api.call("POST", "/api/v1/tickets", json={"path": ENTRY_PATH})
        issued = browser.api.state.tickets._issued
        later = issued._now() + TICKET_TTL
        monkeypatch.setattr(issued, "_now", lambda: later)
        assert (await browser.get(f"{ENTRY_PATH}?ticket={ticket.json['ticket']}")).status == 401


async def test_ticket_of_another_path_does_not_sign_in(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        path = "/api/v1/namespaces/a/runs/ci-1/logs/stream"
        ticket = await browser.api.call("POST", "/api/v1/tickets", json={"path": path})
        assert (await browser.get(f"{ENTRY_PATH}?ticket={ticket.json['ticket']}")).status == 401
        assert browser.cookies == {}


async def test_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path, allowed_hosts=frozenset({"c8s.example"})) as browser:
        await browser.sign_in()
        for host, secure in ((None, False), ("c8s.example", True)):
            headers = {"Host": host} if host else {}
            answer = await browser.post("/ui/sign-in", {"token": ANN}, **headers)
            morsel = next(iter(SimpleCookie(answer.headers["Set-Cookie"]).values()))
            assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/ui")
            assert bool(morsel["secure"]) is secure
            assert morsel["max-age"] == str(SESSION_SECONDS)
            assert ANN not in answer.headers["Set-Cookie"]


async def test_token_form_signs_in_and_rejects_what_kubernetes_does_not_know(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        for wrong in ("", "nobodys", "ü", "x" * 20_000):
            answer = await browser.post("/ui/sign-in", {"token": wrong})
            assert answer.status == 401
            assert browser.cookies == {}
        answer = await browser.post("/ui/sign-in", {"token": f" {ANN}\n", "to": RUNS})
        assert (answer.status, answer.headers["Location"]) == (303, RUNS)
        assert (await browser.get(RUNS)).status == 200


async def test_token_that_no_cookie_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "y" * (MAX_TOKEN_BYTES + 1)
    monkeypatch.setitem(fakes.RIGHTS, long, ("ann", {"a"}))
    async with run_dashboard(tmp_path) as browser:
        answer = await browser.post("/ui/sign-in", {"token": long})
        assert answer.status == 422
        assert str(MAX_TOKEN_BYTES) in answer.body.decode()


def test_longest_token_makes_a_cookie_that_browsers_keep() -> None:
    sessions = Sessions(b"key", lambda: 0.0)
    assert len("c8s-session-65535=" + sessions.seal(sessions.open("y" * MAX_TOKEN_BYTES))) <= 4096


async def test_page_leads_to_the_form_and_back(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        answer = await browser.get(f"{RUNS}?filter=status:failed")
        assert answer.headers["Location"] == f"/ui/sign-in?to={RUNS}%3Ffilter%3Dstatus%3Afailed"
        form = (await browser.get(answer.headers["Location"])).body.decode()
        assert f'name="to" value="{RUNS}?filter=status:failed"' in form
        script = await browser.get(RUNS, HX_Request="true")
        assert (script.status, script.headers["hx-redirect"]) == (200, f"/ui/sign-in?to={RUNS}")
        assert (await browser.get(f"{RUNS}/ci-1/events", Accept="text/event-stream")).status == 401


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/ui/../evil", "/ui/%2e%2E/x", "/uix", "javascript:1",
           "/ui/\\evil", "/ui/x\r\nSet-Cookie: a=b", '/ui/"><script>', "/api/v1/x"],
)  # fmt: skip
async def test_nobody_is_led_to_another_place(tmp_path: Path, to: str) -> None:
    assert own_page(to) == HOME
    async with run_dashboard(tmp_path) as browser:
        answer = await browser.post("/ui/sign-in", {"token": ANN, "to": to})
        assert answer.headers["Location"] == HOME


@given(st.text())
def test_only_pages_of_the_dashboard_are_led_to(to: str) -> None:
    assert own_page(to).startswith("/ui/")
    assert not set(own_page(to)) & set("\"'\\\r\n<>") - set("<>")


async def test_session_ends_with_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        assert (await browser.get(RUNS)).status == 200
        monkeypatch.delitem(fakes.RIGHTS, ANN)
        users = browser.api.state.authenticator._users
        later = users._now() + ALLOWED_TTL
        monkeypatch.setattr(users, "_now", lambda: later)
        answer = await browser.get(RUNS)
        assert answer.status == 303
        assert browser.cookies == {}


async def test_session_expires(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        assert (await browser.get(RUNS)).status == 200
        browser.dashboard.sessions._now = lambda: browser.api.state.wall_clock() + SESSION_SECONDS
        assert (await browser.get(RUNS)).status == 303


def test_cookie_is_a_session_until_the_second_of_its_end() -> None:
    sessions = Sessions(b"key", lambda: times[0])
    times = [1000.0]
    cookie = sessions.seal(sessions.open("token"))
    times[0] += SESSION_SECONDS - 1
    assert sessions.unseal(cookie) is not None
    times[0] += 1
    assert sessions.unseal(cookie) is None


async def test_signing_out_ends_copies_of_the_cookie(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        copy = Browser(browser.api, dict(browser.cookies))
        assert (await copy.get(RUNS)).status == 200
        answer = await browser.post("/ui/sign-out", {"csrf": await browser.form_token()})
        assert answer.headers["Location"] == "/ui/sign-in"
        assert browser.cookies == {}
        assert (await copy.get(RUNS)).status == 303


async def test_session_outlives_a_restart_of_the_api(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        cookies = browser.cookies
    async with run_dashboard(tmp_path) as again:
        # The port is another one, and so is the cookie's name.
        again.cookies = {f"c8s-session-{again.api.url.rpartition(':')[2]}": next(iter(cookies.values()))}
        assert (await again.get(RUNS)).status == 200


@given(st.text(alphabet="ABCabc-_=01", max_size=80))
def test_foreign_cookie_is_no_session(cookie: str) -> None:
    assert Sessions(b"key", lambda: 0.0).unseal(cookie) is None


def test_changed_cookie_or_that_of_another_key_is_no_session() -> None:
    sessions = Sessions(b"key", lambda: 0.0)
    cookie = sessions.seal(sessions.open("token"))
    assert sessions.unseal(cookie) is not None
    assert Sessions(b"other", lambda: 0.0).unseal(cookie) is None
    for at in range(0, len(cookie), 7):
        changed = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        assert sessions.unseal(changed) is None


async def test_form_needs_its_secret(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api)
        path = f"{RUNS}/ci-1/cancel"
        other = Browser(browser.api)
        await other.sign_in()
        for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ü"}, {"csrf": await other.form_token()}):
            assert (await browser.post(path, form)).status == 403
        token = await browser.form_token()
        assert (await browser.post(path, {"csrf": token}, Origin="http://evil.example")).status == 403
        assert (await browser.post(path, {"csrf": token}, Origin="null")).status == 403
        assert (await browser.post(path, {"csrf": token}, Content_Type="text/plain")).status == 400
        run = await browser.api.kubernetes.get(PIPELINE_RUNS, "ci-1", "a")
        assert "cancel" not in run["spec"]
        assert (await browser.post(path, {"csrf": token}, Origin=browser.api.url)).status == 303
        assert (await browser.api.kubernetes.get(PIPELINE_RUNS, "ci-1", "a"))["spec"]["cancel"] is True


async def test_another_site_can_not_sign_someone_in(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        answer = await browser.post("/ui/sign-in", {"token": ANN}, Sec_Fetch_Site="cross-site")
        assert answer.status == 403
        assert browser.cookies == {}


async def test_too_large_form_is_refused(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        assert (await browser.post("/ui/sign-in", {"token": "x" * 70_000})).status == 413
        assert (await browser.post("/ui/sign-in", {f"f{at}": "" for at in range(60)})).status == 400


async def test_pages_have_the_permissions_of_the_rest_api(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await create_run(browser.api, steps=[step("build", "Failed")], phase="Failed")
        await browser.sign_in(BOB)
        token = await browser.form_token("/ui/namespaces/b/runs")
        for path in ("", "/ci-1", "/ci-1/events", "/ci-1/steps/build", "/ci-1/steps/build/events",
                     "/ci-1/steps/build/log.txt", "/ci-1/steps/build/why", "/ci-1/moment?at=1", "/ci-1?at=1",
                     "/ci-1/artifacts", "/ci-1/artifacts/build/archive",
                     "/ci-1/artifacts/build/files/x", "/ci-1/artifacts/build/preview/x",
                     "/ci-1/artifacts/build/picture/x"):  # fmt: skip
            answer = await browser.get(RUNS + path)
            assert answer.status == 403, path
            assert "bob may not" in answer.body.decode()
        for path in ("pipelines", "cluster", "deliveries", "compare?left=ci-1&right=ci-1"):
            assert (await browser.get(f"/ui/namespaces/a/{path}")).status == 403
        for action in ("cancel", "rerun", "approve"):
            assert (await browser.post(f"{RUNS}/ci-1/{action}", {"csrf": token})).status == 403


async def test_only_the_way_in_is_public(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        routes = [
            route for route in (each for router in ROUTERS for each in router.routes) if isinstance(route, PageRoute)
        ]
        public = {route.path for route in routes if route.operation_id == "public"}
        assert public == {"/ui/enter", "/ui/sign-in", "/ui/static/{file}"}
        for route in routes:
            if route.path in public:
                continue
            path = re.sub(r":\w+\}", "}", route.path).format(ns="a", run="ci-1", step="build", path="x")
            method = next(iter(route.methods))
            answer = await (browser.get(path) if method == "GET" else browser.post(path, {}))
            assert (answer.status, answer.headers.get("Location", "")[:11]) == (303, "/ui/sign-in"), path
        assert browser.api.kubernetes.questions == []


async def test_every_page_is_sent_with_a_strict_policy(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await create_run(browser.api)
        signed_out = await browser.get("/ui/sign-in")
        await browser.sign_in()
        pages = [signed_out, *[await browser.get(path) for path in (RUNS, f"{RUNS}/ci-1", f"{RUNS}/nope", "/ui/enter")]]
        for page in pages:
            policy = dict(
                part.strip().partition(" ")[::2] for part in page.headers.get("Content-Security-Policy", "").split(";")
            )
            if page.status == 303:
                continue
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert page.headers["X-Content-Type-Options"] == "nosniff"
            assert page.headers["Referrer-Policy"] == "same-origin"
            assert page.headers["Cache-Control"] == "no-store"
            text = page.body.decode()
            assert "<script>" not in text
            assert " style=" not in text
            assert " onclick" not in text
            assert 'src="http' not in text


async def test_host_and_unknown_parameters_are_checked(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        assert (await browser.get("/ui/sign-in", Host="evil.example")).status == 421
        await browser.sign_in()
        answer = await browser.get(f"{RUNS}?filtr=status:failed")
        assert answer.status == 400
        assert "filtr" in answer.body.decode()
        assert (await browser.get(f"{RUNS}?page=0")).status == 422


async def test_there_is_no_dashboard_unless_it_is_enabled(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for path in ("/ui/", "/ui/sign-in", "/ui/static/dashboard.css"):
            assert (await api.call("GET", path)).problem == (404, "not-found")
