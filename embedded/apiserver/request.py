"""One request for a resource, whose sender is known and allowed to make it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from embedded.apiserver import negotiation, query_options, request_info, timeouts
from embedded.apiserver.codec import decode
from embedded.auth.tokens import User
from embedded.registry.options import WriteOptions

Json = dict[str, Any]


@dataclass(frozen=True)
class ApiRequest:
    """See the module."""

    http: web.BaseRequest
    info: request_info.RequestInfo
    user: User

    @property
    def query(self) -> Any:
        return self.http.query

    @property
    def accept(self) -> str:
        return self.http.headers.get("Accept", "")

    @property
    def dry_runs(self) -> list[str]:
        """What is said of a dry run: nothing, or `All`."""
        return list(self.query.getall("dryRun", []))

    @property
    def wants_warnings(self) -> bool:
        return bool(self.query.get("fieldValidation") != "Ignore")

    @property
    def write_options(self) -> WriteOptions:
        """What the query says of a write. Who does not name itself is known by its program, as on a real server."""
        program = self.http.headers.get("User-Agent", "").partition("/")[0]
        return WriteOptions(
            subresource=self.info.subresource or None,
            dry_run=bool(self.dry_runs),
            strict=self.query.get("fieldValidation") == "Strict",
            field_manager=self.query.get("fieldManager") or program or "unknown",
            force=query_options.parse_bool(self.query, "force"),
        )

    def render(self, obj: Json, now: datetime) -> Json:
        """An object in the form that is wanted."""
        form = negotiation.negotiate(self.accept)
        include = self.query.get("includeObject", "Metadata")
        return (
            obj
            if form.shape == "object"
            else negotiation.render_object(form, self.info.resource, obj, include=include, now=now)
        )

    async def delete_options(self) -> Json:
        """The options of a deletion: those of the body, and over them those of the query.

        Raises:
            ApiError: 400, 422.
        """
        request, query = self.http, self.query
        data = await timeouts.read_body(request)
        wish = decode.read_object(data, request.content_type, "DeleteOptions") if data.strip() else {}
        query_options.validate_delete_option_types(wish)
        if "propagationPolicy" in query:
            wish["propagationPolicy"] = query["propagationPolicy"]
        if (grace := query_options.parse_int(query, "gracePeriodSeconds")) is not None:
            wish["gracePeriodSeconds"] = grace
        if "orphanDependents" in query:
            wish["orphanDependents"] = query_options.parse_bool(query, "orphanDependents")
        wish["dryRun"] = [*(wish.get("dryRun") or []), *self.dry_runs]
        query_options.validate_delete_options(wish)
        if (orphan := wish.pop("orphanDependents", None)) is not None:
            wish["propagationPolicy"] = "Orphan" if orphan else "Background"
        return wish
