"""The tests of a run: those that failed with what they said, and how many there are of each step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from controller.api.routes.run import tests as calls
from controller.dashboard import rendering
from controller.dashboard.page_route import PageRoute
from controller.dashboard.session import ROOT
from controller.dashboard.views.log_html import rows_html
from controller.logs import Line

MAX_LISTED = 300
"""Tests that the page lists, those that failed first."""
MAX_LINES = 200
Test = Mapping[str, Any]
_FAILED = ("failed", "error")
_ABSENT = {"suite": "", "message": None, "file": None, "line": None}

router = APIRouter(
    prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}/tests", route_class=PageRoute, include_in_schema=False
)


@router.get("", operation_id="listTests")
async def tests_page(request: Request, ns: str, run: str) -> Response:
    """The tests of the run's last attempts."""
    # The API lists them step by step: a failure in the last step must not be behind the limit.
    failed, found = [
        json.loads(bytes((await calls.list_tests(request, ns, run, None, only_failed, MAX_LISTED, None)).body))
        for only_failed in (True, False)
    ]
    names = {each["step"]: each["name"] for each in found["steps"]}
    rows = [
        {
            **_ABSENT,
            **each,
            "stepName": names.get(each["step"], each["step"]),
            "text": _text(each.get("details")),
            "output": _text(each.get("output")),
        }
        for each in in_order(failed["items"], found["items"])[:MAX_LISTED]
    ]
    for each in found["steps"]:
        each.setdefault("warnings", [])
    return rendering.render(
        request, "tests.html", run=run, steps=found["steps"], rows=rows, has_more="continue" in found
    )


def in_order(failed: Sequence[Test], listed: Sequence[Test]) -> list[Test]:
    """The tests that failed, of all steps, then of those that are listed the skipped ones and the others."""
    others = (each for each in listed if each["outcome"] not in _FAILED)
    return [*failed, *sorted(others, key=lambda each: bool(each["outcome"] != "skipped"))]


def _text(text: str | None) -> str:
    """The lines of a difference or of an output as HTML; empty for none."""
    lines = (text or "").splitlines()[:MAX_LINES]
    return rows_html(
        [Line(at, None, line.encode("utf-8", "replace")) for at, line in enumerate(lines, 1)], numbers=False
    )
