"""GitHub's check runs: the requests that find, create and update the one of a report. Pure.

Source: https://docs.github.com/en/rest/checks/runs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from controller.forges.report import FINAL, Report, State
from controller.forges.requests import ForgeRequest, Repository, github_headers

Json = dict[str, Any]

MAX_ANNOTATIONS = 50
"""What GitHub takes in one request."""
_MAX_SUMMARY = 60_000
_STATUSES = {State.PENDING: "queued", State.RUNNING: "in_progress"}
_CONCLUSIONS = {State.SUCCESS: "success", State.FAILURE: "failure", State.CANCELLED: "cancelled"}


def find_request(repository: Repository, report: Report, token: str) -> ForgeRequest:
    """Lists the check runs of the commit that have the name of the report."""
    query = urlencode({"check_name": report.context, "filter": "all", "per_page": 100})
    url = f"{_base(repository)}/commits/{report.commit}/check-runs?{query}"
    return ForgeRequest(url, github_headers(token), None, method="GET")


def found_check(answer: Mapping[str, Any], report: Report) -> tuple[int, int] | None:
    """(id, number of annotations) of the check run of the report in such a list; None if it is not there."""
    listed = answer.get("check_runs")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("external_id") == report.external_id and isinstance(each.get("id"), int):
            count = (each.get("output") or {}).get("annotations_count")
            return each["id"], count if isinstance(count, int) else 0
    return None


def create_request(repository: Repository, report: Report, token: str) -> ForgeRequest:
    """Creates the check run."""
    body = {"name": report.context, "head_sha": report.commit, "external_id": report.external_id, **_body(report)}
    return ForgeRequest(f"{_base(repository)}/check-runs", github_headers(token), body)


def update_request(
    repository: Repository, report: Report, token: str, check: int, *, annotate: bool = True
) -> ForgeRequest:
    """Updates the check run. `annotate`: whether it has no annotations yet; GitHub adds them to those it has."""
    url = f"{_base(repository)}/check-runs/{check}"
    return ForgeRequest(url, github_headers(token), _body(report, annotate=annotate), method="PATCH")


def _base(repository: Repository) -> str:
    return f"{repository.api}/repos/{quote(repository.path)}"


def _body(report: Report, *, annotate: bool = True) -> Json:
    body: Json = {"details_url": report.url, "output": _output(report, annotate=annotate)}
    if report.started:
        body["started_at"] = report.started
    if report.state not in FINAL:
        return {**body, "status": _STATUSES[report.state]}
    body |= {"status": "completed", "conclusion": _CONCLUSIONS[report.state]}
    if report.completed:
        body["completed_at"] = report.completed
    return body


def _output(report: Report, *, annotate: bool) -> Json:
    output: Json = {"title": report.description or str(report.state), "summary": _as_plain_text(report.summary)}
    if annotate and report.annotations:
        output["annotations"] = [
            {
                "path": each.path,
                "start_line": each.line,
                "end_line": each.line,
                "annotation_level": "failure",
                "message": each.message or "failed",
                "title": each.title[:255],
            }
            for each in report.annotations[:MAX_ANNOTATIONS]
        ]
    return output


def _as_plain_text(text: str) -> str:
    """A text in which nothing is Markdown: it may be what strangers wrote, with mentions and links."""
    return f"```text\n{text.replace('`', chr(39))[:_MAX_SUMMARY]}\n```"
