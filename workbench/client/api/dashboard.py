"""The dashboard in a browser: the address that signs it in."""

from __future__ import annotations

from urllib.parse import urlencode

from workbench.client.api.base import ApiCalls, quote_part
from workbench.client.errors import NotFoundError

_ENTRY = "/ui/enter"
_PROOF = "/ui/static/dashboard.css"


class DashboardCalls(ApiCalls):
    """The calls about the dashboard's pages, which only browsers read."""

    async def dashboard_address(self, run: str | None = None) -> str:
        """An address that signs a browser in as this client's user, once and within 30 s, and shows the runs or a run.

        Raises NotFoundError if the controller serves no dashboard.
        """
        action = "open the dashboard"
        try:
            async with self._transport.open_once("GET", _PROOF, action):
                pass
        except NotFoundError:
            raise NotFoundError(
                f"can't {action}: {self._endpoint.url} serves none (its setting --enable-dashboard is off, or it was "
                "started by an earlier version: stop and start it)"
            ) from None
        answer = await self._post("/api/v1/tickets", action, {"path": _ENTRY})
        page = f"/ui/namespaces/{quote_part(self.namespace)}/runs" + (f"/{quote_part(run)}" if run else "")
        return f"{self._transport.server}{_ENTRY}?" + urlencode({"ticket": answer["ticket"], "to": page})
