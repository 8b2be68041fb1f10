"""Results of tests: listed, and their history."""

from __future__ import annotations

from workbench.client import test_results as decode
from workbench.client.api.base import ApiCalls, to_params
from workbench.client.test_results import TestHistory, TestReport, TestResult

_PAGE = 10_000
"""Tests in one answer, which is decoded in one piece."""


class TestCalls(ApiCalls):
    """The calls below `/runs/{run}/tests`."""

    __test__ = False

    async def list_tests(self, run: str, *, step: str | None = None, failed: bool = False) -> TestReport:
        """The tests of a run or of one step (its name or slug), or only those that failed."""
        path, action = self._path("runs", run, "tests"), f"list the tests of run {run}"
        found: list[TestResult] = []
        token: str | None = None
        while True:
            only = "true" if failed else None
            params = to_params(step=step, failed=only, limit=_PAGE, **{"continue": token})
            page = await self._get_object(path, action, params)
            report = decode.decode_tests(page)
            found += report.tests
            following = page.get("continue")
            if not following or following == token:
                return TestReport(report.steps, tuple(found))
            token = str(following)

    async def read_test_history(self, run: str, step: str) -> TestHistory:
        """What became of the tests of a step (its slug) in the last runs of the pipeline."""
        path = self._path("runs", run, "tests", "history")
        action = f"read the history of the tests of step {step} of run {run}"
        return decode.decode_history(await self._get_object(path, action, to_params(step=step)))
