"""What the process needs soon, but not to be ready, in the order in which it is needed."""

from collections.abc import Mapping, Sequence

from controller.settings import Settings

API, OPERATOR, REST = "API", "operator", "rest"
"""The stages. What is in the last one is not needed for the first run."""

_API_MODULES = (
    "controller.api.app",
    "controller.webhooks.service",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
_OPERATOR_MODULES = ("controller.operator.controller", "controller.runtime.operator_runner", "controller.logs")
_DASHBOARD_MODULE = "controller.dashboard.install"
LATE_MODULES = (*_API_MODULES, *_OPERATOR_MODULES)
"""Those that every process with the API and the operator needs."""


def late_modules(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The modules of each stage."""
    return {API: _API_MODULES, OPERATOR: _OPERATOR_MODULES, REST: (_DASHBOARD_MODULE,) if settings.dashboard else ()}
