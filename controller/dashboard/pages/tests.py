"""The tests of a run: those that failed with what they said, and how many there are of each step."""

from __future__ import annotations

import json

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
_ABSENT = {"suite": "", "message": None, "file": None, "line": None}

router = APIRouter(
    prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}/tests", route_class=PageRoute, include_in_schema=False
)


@router.get("", operation_id="listTests")
async def tests_page(request: Request, ns: str, run: str) -> Response:
    """The tests of the run's last attempts."""
    answer = await calls.list_tests(request, ns, run, None, False, MAX_LISTED, None)
    found = json.loads(bytes(answer.body))
    rows = [
        {**_ABSENT, **each, "text": _text(each.get("details")), "output": _text(each.get("output"))}
        for each in found["items"]
    ]
    for each in found["steps"]:
        each.setdefault("warnings", [])
    return rendering.render(
        request, "tests.html", run=run, steps=found["steps"], rows=rows, has_more="continue" in found
    )


def _text(text: str | None) -> str:
    """The lines of a difference or of an output as HTML; empty for none."""
    lines = (text or "").splitlines()[:MAX_LINES]
    return rows_html(
        [Line(at, None, line.encode("utf-8", "replace")) for at, line in enumerate(lines, 1)], numbers=False
    )
