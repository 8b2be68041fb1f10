"""What is wrong with a pipeline file, and whether an event would run it: the pipeline room's answers over HTTP."""

from fastapi import APIRouter

from controller.api.access import GuardedRoute

router = APIRouter(prefix="/api/v1", tags=["lint"], route_class=GuardedRoute)
