"""An authenticated and authorized API request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from embedded.api.scheme import EVENTS_V1
from embedded.api.status_errors import bad_request
from embedded.apiserver import negotiation, query_options, request_info, timeouts
from embedded.apiserver.codec import decode
from embedded.auth.tokens import User
from embedded.registry.options import WriteOptions

Json = dict[str, Any]


@dataclass(frozen=True)
class ApiRequest:
    """A request for a resource, with its options."""

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
        """The values of the option `dryRun`; the only valid one is `All`."""
        return list(self.query.getall("dryRun", []))

    @property
    def wants_warnings(self) -> bool:
        return bool(self.query.get("fieldValidation") != "Ignore")

    @property
    def write_options(self) -> WriteOptions:
        """The options of a write. The default field manager is the client's program, as on a real server."""
        program = self.http.headers.get("User-Agent", "").partition("/")[0]
        return WriteOptions(
            subresource=self.info.subresource or None,
            dry_run=bool(self.dry_runs),
            strict=self.query.get("fieldValidation") == "Strict",
            field_manager=self.query.get("fieldManager") or program or "unknown",
            force=query_options.parse_bool(self.query, "force"),
            events_v1=self.info.resource is EVENTS_V1,
        )

    def render(self, obj: Json, now: datetime) -> Json:
        """An object in the form that the client accepts."""
        representation = negotiation.negotiate(self.accept)
        if representation.shape == "object":
            return obj
        include = self.query.get("includeObject", "Metadata")
        return negotiation.render_object(representation, self.info.resource, obj, include=include, now=now)

    async def delete_options(self) -> Json:
        """The options of a deletion: those of the body, overridden by those of the query.

        Raises:
            ApiError: 400, 422.
        """
        request, query = self.http, self.query
        data = await timeouts.read_body(request)
        options = decode.read_object(data, negotiation.content_type(request), "DeleteOptions") if data.strip() else {}
        if options.get("kind", "DeleteOptions") != "DeleteOptions":
            raise bad_request("decoded object cannot be converted to DeleteOptions")
        query_options.validate_delete_option_types(options)
        if "propagationPolicy" in query:
            options["propagationPolicy"] = query["propagationPolicy"]
        if (grace := query_options.parse_int(query, "gracePeriodSeconds")) is not None:
            options["gracePeriodSeconds"] = grace
        if "orphanDependents" in query:
            options["orphanDependents"] = query_options.parse_bool(query, "orphanDependents")
        options["dryRun"] = [*(options.get("dryRun") or []), *self.dry_runs]
        query_options.validate_delete_options(options)
        if (orphan := options.pop("orphanDependents", None)) is not None:
            options["propagationPolicy"] = "Orphan" if orphan else "Background"
        return options
