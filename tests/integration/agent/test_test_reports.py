"""Reports of tests: collected also after a failure, within limits, never through links."""

import json
import os

import pytest

from controller.agent.transfer import reports
from controller.test_results import model
from controller.test_results.bundle import ReportFile, read_bundle
from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod

GLOBS = json.dumps({"junit": ["**/*.xml", "none/*.xml"], "tap": ["out.tap"]})


def test_agent_and_api_have_the_same_limits() -> None:
    for name in ("MAX_FILES", "MAX_FILE_BYTES", "MAX_TOTAL_BYTES", "MAX_PACKED_BYTES"):
        assert getattr(reports, name) == getattr(model, name)


@pytest.mark.parametrize("code", ["0", "3", ""])
async def test_reports_are_sent_however_the_step_ends(api: FakeAgentApi, pod: Pod, code: str) -> None:
    (pod.workspace / "deep").mkdir()
    (pod.workspace / "deep" / "a.xml").write_bytes(b"<testsuite/>")
    (pod.workspace / "out.tap").write_bytes(b"1..0\n")
    status, out = await pod.run(code, C8S_REPORTS=GLOBS)
    assert status == 0, out
    assert list(read_bundle(api.test_reports)) == [
        ReportFile("deep/a.xml", "junit", b"<testsuite/>"),
        ReportFile("none/*.xml", "junit", problem="no file matches"),
        ReportFile("out.tap", "tap", b"1..0\n"),
    ]
    assert "stored 2 test results, 1 failed" in out
    assert "a.xml:1: broken" in out
    assert json.loads(pod.message.read_text())["tests"]["failed"] == 1


async def test_links_pipes_and_large_files_are_not_read(api: FakeAgentApi, pod: Pod) -> None:
    (pod.workspace / "link.xml").symlink_to("/etc/passwd")
    (pod.workspace / "folder").symlink_to("/etc")
    os.mkfifo(pod.workspace / "pipe.xml")
    with (pod.workspace / "huge.xml").open("wb") as file:
        file.truncate(model.MAX_FILE_BYTES + 1)
    await pod.run(C8S_REPORTS=json.dumps({"junit": ["*.xml", "folder/*"]}))
    problems = {file.path: file.problem for file in read_bundle(api.test_reports)}
    assert problems == {
        "link.xml": "it is a link, which is not followed",
        "huge.xml": "it has more than 32 MiB and is not read",
        "folder/*": "no file matches",
    }


async def test_a_step_that_never_began_has_no_reports(api: FakeAgentApi, pod: Pod) -> None:
    await pod.run(None, C8S_REPORTS=GLOBS)
    assert api.test_reports == b""


async def test_reports_that_are_refused_fail_nothing(api: FakeAgentApi, pod: Pod) -> None:
    api.test_report_status = 413
    status, out = await pod.run("0", C8S_REPORTS=GLOBS)
    assert (status, "the reports are not stored" in out) == (0, True)
    assert "tests" not in json.loads(pod.message.read_text())


async def test_the_failed_tests_are_in_a_file_for_the_step(api: FakeAgentApi, pod: Pod) -> None:
    (pod.workspace / "tests").mkdir()
    (pod.workspace / "tests" / "test_cart.py").write_text("")
    api.failed_tests = [
        {"rerun": "tests.test_cart.TestCart.test_a[1.5]", "suite": "tests.test_cart.TestCart", "name": "test_a[1.5]"},
        {"rerun": "shop.Cart.adds", "suite": "shop.Cart", "name": "adds"},
        {"rerun": "with\nbreak", "suite": "", "name": "x"},
    ]
    status, out = await pod.run("0", C8S_FETCH_FAILED_TESTS="1")
    assert status == 0, out
    lines = (pod.gate / "failed-tests").read_text().splitlines()
    assert lines == ["tests/test_cart.py::TestCart::test_a[1.5]", "shop.Cart.adds", "with break"]
