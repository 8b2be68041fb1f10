"""Sends one report: as a commit status, or where a GitHub App is given as a check run."""

from __future__ import annotations

from dataclasses import dataclass

from controller.forges import checks
from controller.forges.client import ForgeClient, Sent
from controller.forges.github_app import CHECKS, AppError, AppKey, InstallationTokens
from controller.forges.report import Report
from controller.forges.requests import Repository, status_request
from controller.forges.targets import Target


@dataclass(frozen=True)
class Published:
    """What came of a report. `check`: the id of its check run, once that is known."""

    sent: Sent
    check: int | None = None


class Publisher:
    """Publishes reports with one HTTP client."""

    def __init__(self, forge: ForgeClient, tokens: InstallationTokens) -> None:
        self._forge = forge
        self._tokens = tokens

    async def publish(self, target: Target, report: Report, check: int | None) -> Published:
        """Send a report.

        Args:
            target: with a repository.
            check: the id of the check run that the report had before.
        """
        assert target.repository is not None, "a target without a repository gets no reports"
        if target.app is None:
            return Published(await self._forge.send(status_request(target.repository, report, target.token)))
        try:
            found = await self._publish_check(target.repository, target.app, report, check)
            if found.sent.status == 401 and self._tokens.forget(target.repository, target.app, CHECKS):
                # The token was withdrawn before its time.
                found = await self._publish_check(target.repository, target.app, report, check)
        except AppError as error:
            return Published(error.sent, check)
        return found

    async def _publish_check(self, repository: Repository, app: AppKey, report: Report, check: int | None) -> Published:
        token = await self._tokens.get(repository, app, CHECKS)
        has_annotations = False
        if check is None or report.annotations:
            # It may have been created, or annotated, by a process that did not come to write that down.
            listed = await self._forge.send(checks.find_request(repository, report, token))
            if listed.problem:
                return Published(listed, check)
            if (found := checks.found_check(listed.answer, report)) is not None:
                check, has_annotations = found[0], found[1] > 0
        if check is None:
            sent = await self._forge.send(checks.create_request(repository, report, token))
            created = sent.answer.get("id")
            return Published(sent, created if isinstance(created, int) else None)
        request = checks.update_request(repository, report, token, check, annotate=not has_annotations)
        sent = await self._forge.send(request)
        if sent.status == 404:
            # It was deleted.
            return await self._publish_check(repository, app, report, None)
        return Published(sent, check)
