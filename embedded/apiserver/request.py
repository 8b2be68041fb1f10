"""One request for a resource, whose sender is known and allowed to make it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from embedded.apiserver import negotiation, query_options, request_info, timeouts
from embedded.apiserver.codec import decode
from embedded.auth.tokens import User
from embedded.registry.options import Write

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """See the module."""

    request: web.BaseRequest
    target: request_info.Target
    user: User

    @property
    def query(self) -> Any:
        return self.request.query

    @property
    def accept(self) -> str:
        return self.request.headers.get("Accept", "")

    @property
    def dry_runs(self) -> list[str]:
        """What is said of a dry run: nothing, or `All`."""
        return list(self.query.getall("dryRun", []))

    @property
    def warn(self) -> bool:
        return bool(self.query.get("fieldValidation") != "Ignore")

    @property
    def how(self) -> Write:
        """What the query says of a write. Who does not name itself is known by its program, as on a real server."""
        program = self.request.headers.get("User-Agent", "").partition("/")[0]
        return Write(
            subresource=self.target.subresource or None,
            dry_run=bool(self.dry_runs),
            strict=self.query.get("fieldValidation") == "Strict",
            manager=self.query.get("fieldManager") or program or "unknown",
            force=query_options.flag(self.query, "force"),
        )

    def shown(self, obj: Json, now: datetime) -> Json:
        """An object in the form that is wanted."""
        form = negotiation.wanted(self.accept)
        include = self.query.get("includeObject", "Metadata")
        return (
            obj
            if form.shape == "object"
            else negotiation.one(form, self.target.resource, obj, include=include, now=now)
        )

    async def delete_options(self) -> Json:
        """The options of a deletion: those of the body, and over them those of the query.

        Raises:
            ApiError: 400, 422.
        """
        request, query = self.request, self.query
        data = await timeouts.body_of(request)
        wish = decode.read_object(data, request.content_type, "DeleteOptions") if data.strip() else {}
        query_options.read_delete(wish)
        if "propagationPolicy" in query:
            wish["propagationPolicy"] = query["propagationPolicy"]
        if (grace := query_options.number(query, "gracePeriodSeconds")) is not None:
            wish["gracePeriodSeconds"] = grace
        if "orphanDependents" in query:
            wish["orphanDependents"] = query_options.flag(query, "orphanDependents")
        wish["dryRun"] = [*(wish.get("dryRun") or []), *self.dry_runs]
        query_options.check_delete(wish)
        if (orphan := wish.pop("orphanDependents", None)) is not None:
            wish["propagationPolicy"] = "Orphan" if orphan else "Background"
        return wish
