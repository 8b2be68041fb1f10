"""What all tests share: programs that may be missing, and a state folder of their own."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.tools import are_tools_required, find_tool

# An example that a pause of the machine or a garbage collection hits is not wrong.
settings.register_profile("without limits of time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without limits of time")


# The tests start hundreds of processes, each of which would compile the whole program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What is drawn or printed must not depend on the terminal, and the language, of the person who runs the tests.
for _name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE"):
    os.environ.pop(_name, None)
os.environ["LANG"] = "C.UTF-8"

# Where the tests run in the background of a script (`nohup .ci/run &`), signals are ignored that the processes of tests
# inherit, and are sent.
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, _handler)


def pytest_collection_finish() -> None:
    """Leave the collected tests and all modules out of garbage collections, which take up to a second with them."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what wants a program this machine lacks; on CI (C8S_TEST_TOOLS=required) such a test fails instead.

    Tests that run containers in an engine are marked as such.
    """
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()) or _parameter(item, "cluster") in ("engine", "engine-files"):
            item.add_marker(pytest.mark.engine)
        for mark in item.iter_markers("needs"):
            missing = [tool for tool in mark.args if find_tool(tool) is None]
            if missing and not are_tools_required():
                item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} is not installed on this machine"))


def _parameter(item: pytest.Item, name: str) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec is not None else None


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test has failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def _leftovers_of_a_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Free what a test that failed has not closed: warnings about it would fail a later one, which is not at fault."""
    yield
    if request.node.stash.get(_FAILED, False):
        # They have the frames of the test.
        sys.last_type = sys.last_value = sys.last_traceback = None
        if sys.version_info >= (3, 12):
            sys.last_exc = None
        gc.collect()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the sandboxes, contexts or colours of the person who runs it, or uses their engine."""
    home = tmp_path_factory.mktemp("xdg")
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(home / variable.lower()))
    kept = ("C8S_TEST_TOOLS", "C8S_TEST_ENGINE", "C8S_TEST_ENGINE_FILES")
    for variable in [name for name in os.environ if name.startswith("C8S_") and name not in kept]:
        monkeypatch.delenv(variable)
    # Tests of engines choose one themselves; all others must not depend on whether this machine has one.
    monkeypatch.setenv("C8S_RUNTIME", "process")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository."""
    return Path(__file__).parent.parent
