"""Reports of tests through the whole controller: stored after a failure, listed, compared, and run again."""

from typing import Any

import pytest

from tests.integration.api.conftest import SECONDS, Caller
from tests.integration.api.test_whole_path import ended, start, step
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.xdist_group("controller")

_REPORT = """\
report() { printf '<testsuite name="s">%s</testsuite>' "$1" > junit.xml; }
"""
_FAIL = (
    _REPORT
    + """report '<testcase classname="shop" name="adds"/><testcase classname="shop" name="says '"$SECRET"'">\
<failure message="1 != 2">shop.py:7: AssertionError '"$SECRET"'</failure></testcase>'
exit 3"""
)
_AGAIN = _REPORT + 'report "<testcase classname=\\"shop\\" name=\\"$(cut -c6- "$C8S_FAILED_TESTS")\\"/>"'


async def list_of(api: Caller, run: str, query: str = "") -> Any:
    status, found = await api("GET", f"runs/{run}/tests{query}")
    assert status == 200, found
    return found


async def test_failed_tests_are_listed_masked_and_run_again(api: Caller) -> None:
    await api("PUT", "secrets/shop", json={"data": {"word": "opensesame"}})
    secret = {"secretRef": "shop", "key": "word", "envVar": "SECRET"}
    test = step("test", _FAIL, secrets=[secret], reports={"junit": ["*.xml", "*.none"]}, rerunFailed=_AGAIN)
    run = await start(api, "tested", test, step("other", "true"))
    final = await ended(api, run["name"])
    (attempt,) = final["status"]["steps"][0]["attempts"]
    assert (attempt["exitCode"], attempt["tests"]["total"], attempt["tests"]["failed"]) == (3, 2, 1)
    assert attempt["tests"]["warning"] == "*.none: no file matches"
    found = await list_of(api, run["name"])
    failed, passed = found["items"]
    assert (failed["name"], failed["file"], failed["line"]) == ("says ***", "shop.py", 7)
    assert (failed["message"], passed["outcome"]) == ("1 != 2", "passed")
    assert "opensesame" not in str(found)
    assert found["steps"][0]["canRerunFailed"]
    page = await list_of(api, run["name"], "?limit=1")
    following = await list_of(api, run["name"], f"?limit=1&continue={page['continue']}")
    assert [page["items"][0], following["items"][0]] == [failed, passed]
    assert (await list_of(api, run["name"], "?failed=true"))["items"] == [failed]

    status, again = await api("POST", f"runs/{run['name']}/rerun", json={"failedTests": True})
    assert status == 201, again
    final = await ended(api, again["name"])
    assert {each["name"]: each["reason"] for each in final["status"]["steps"]} == {
        "test": "Succeeded",
        "other": "Reused",
    }
    found = await list_of(api, again["name"], "?step=test")
    assert [(each["name"], each["outcome"]) for each in found["items"]] == [("says ***", "passed")]
    assert found["steps"][0]["partial"]
    status, history = await api("GET", f"runs/{again['name']}/tests/history?step=test")
    assert status == 200, history
    assert [each["run"] for each in history["attempts"]] == [run["name"], again["name"]]
    assert history["tests"] == {found["items"][0]["key"]: "FP"}
    assert history["flaky"] == [found["items"][0]["key"]], "it failed and passed on the same files"

    # A part of the tests is no result of the whole step.
    body = {"pipeline": run["definition"], "reuseFrom": again["name"]}
    status, third = await api("POST", "runs", json=body)
    assert status == 201, third
    reasons = {each["name"]: each["reason"] for each in (await ended(api, third["name"]))["status"]["steps"]}
    assert reasons["test"] != "Reused"


async def test_a_run_without_failed_tests_or_a_command_for_them_is_not_run_again(api: Caller) -> None:
    plain = await start(api, "untested", step("test", "exit 1"))
    await ended(api, plain["name"])
    status, problem = await api("POST", f"runs/{plain['name']}/rerun", json={"failedTests": True})
    assert (status, "no step of" in problem["detail"]) == (409, True)
    report = _REPORT + "report '<testcase name=\"a\"><failure/></testcase>'; exit 1"
    mute = await start(api, "muted", step("test", report, reports={"junit": ["junit.xml"]}))
    await ended(api, mute["name"])
    status, problem = await api("POST", f"runs/{mute['name']}/rerun", json={"failedTests": True})
    assert (status, "add `rerunFailed`" in problem["detail"]) == (409, True)


async def test_a_hostile_report_is_a_warning_and_the_step_succeeds(api: Caller) -> None:
    bomb = 'printf \'<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>\' > a.xml; ln -s /etc/passwd b.xml'
    run = await start(api, "hostile", step("test", bomb, reports={"junit": ["*.xml"]}))
    final = await ended(api, run["name"])
    assert final["status"]["phase"] == "Succeeded"
    (entry,) = (await list_of(api, run["name"]))["steps"]
    assert entry["warnings"] == [
        "a.xml:1: it declares entities, which are not read",
        "b.xml: it is a link, which is not followed",
    ]


async def test_the_history_stays_when_the_runs_are_removed(api: Caller) -> None:
    report = _REPORT + 'report "<testcase name=\\"a\\"/>"'
    test = step("test", report, reports={"junit": ["junit.xml"]})
    first = await start(api, "kept", test)
    await ended(api, first["name"])
    status, _ = await api("DELETE", f"runs/{first['name']}")
    assert status == 204

    async def is_gone() -> bool:
        return (await api("GET", f"runs/{first['name']}"))[0] == 404

    await wait_until_async(is_gone, SECONDS)
    second = await start(api, "kept", test)
    await ended(api, second["name"])
    _, history = await api("GET", f"runs/{second['name']}/tests/history?step=test")
    assert list(history["tests"].values()) == ["PP"]
