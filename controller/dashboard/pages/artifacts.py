"""The artifacts of a run: lists, downloads, and previews of what is text or a picture.

What a step has stored may be anything. Text is shown escaped; pictures are those formats that can't hold scripts, told
by their first bytes, and sent with a policy that lets them do nothing; everything else is only downloaded.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from controller.api.artifacts.keys import stored_manifests
from controller.api.artifacts.manifest import read_files
from controller.api.http.file_paths import FILE_PATH
from controller.api.http.problems import ApiProblemError
from controller.api.routes.run import artifacts as calls
from controller.api.runs.find import find_run
from controller.api.state import get_state
from controller.dashboard import rendering
from controller.dashboard.page_route import PageRoute
from controller.dashboard.session import ROOT
from controller.dashboard.views.log_html import rows_html
from controller.logs import Line
from controller.storage.errors import BrokenArchiveError

MAX_LISTED = 500
"""Files of a step that the page lists."""
MAX_TEXT = 256 * 1024
MAX_PICTURE = 8 * 1024 * 1024
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
             (b"GIF89a", "image/gif"))  # fmt: skip

router = APIRouter(
    prefix=f"{ROOT}/namespaces/{{ns}}/runs/{{run}}/artifacts", route_class=PageRoute, include_in_schema=False
)


@dataclass(frozen=True)
class _StepFiles:
    """The first files of a step. `problem` says why they can't be listed."""

    slug: str
    files: list[dict[str, Any]]
    has_more: bool
    problem: str = ""


@router.get("", operation_id="listArtifacts")
async def artifacts_page(request: Request, ns: str, run: str) -> Response:
    """The artifacts by step."""
    state = get_state(request)
    steps = []
    for slug, manifest in await stored_manifests(state.store, await find_run(state, ns, run)):
        files: list[dict[str, Any]] = []
        problem = ""
        try:
            async for found, _ in read_files(state.store, manifest, 0, MAX_LISTED + 1):
                files += found
        except BrokenArchiveError as error:
            problem = str(error)
        listed = [{**each, "address": quote(str(each["path"]), safe="/")} for each in files[:MAX_LISTED]]
        steps.append(_StepFiles(slug, listed, len(files) > MAX_LISTED, problem))
    return rendering.render(request, "artifacts.html", run=run, steps=steps)


@router.get("/{step}/archive", operation_id="getArtifacts")
async def archive(request: Request, ns: str, run: str, step: str) -> Response:
    """All artifacts of a step as one tar.gz."""
    return await calls.get_artifacts(request, ns, run, step)


@router.get(f"/{{step}}/files/{FILE_PATH}", operation_id="getArtifactFile")
async def download(request: Request, ns: str, run: str, step: str, path: str) -> Response:
    """One file, to be saved."""
    return await calls.get_artifact_file(request, ns, run, step, path)


@router.get(f"/{{step}}/preview/{FILE_PATH}", operation_id="getArtifactFile")
async def preview(request: Request, ns: str, run: str, step: str, path: str) -> Response:
    """A page that shows a file, if it is text or a picture."""
    start = await _start(request, ns, run, step, path, MAX_TEXT + 1)
    picture = picture_type(start)
    text = None if picture else as_text(start[:MAX_TEXT], cut=len(start) > MAX_TEXT)
    lines = [] if text is None else text.removesuffix("\n").split("\n")
    rows = rows_html([Line(at, None, line.encode()) for at, line in enumerate(lines, 1)])
    return rendering.render(
        request, "preview.html", run=run, step=step, path=path, address=quote(path, safe="/"), picture=picture,
        is_text=text is not None, rows=rows, cut=len(start) > MAX_TEXT,
    )  # fmt: skip


@router.get(f"/{{step}}/picture/{FILE_PATH}", operation_id="getArtifactFile")
async def picture(request: Request, ns: str, run: str, step: str, path: str) -> Response:
    """The bytes of a picture, for the page that shows it."""
    data = await _start(request, ns, run, step, path, MAX_PICTURE + 1)
    kind = picture_type(data)
    if kind is None:
        raise ApiProblemError("unsupported-media-type", "the file is no PNG, JPEG, GIF or WebP picture: download it")
    if len(data) > MAX_PICTURE:
        raise ApiProblemError("too-large", f"the picture has more than {MAX_PICTURE // 1024**2} MiB: download it")
    return Response(data, media_type=kind, headers={"Content-Security-Policy": "default-src 'none'; sandbox"})


async def _start(request: Request, ns: str, run: str, step: str, path: str, limit: int) -> bytes:
    """The first bytes of a file, at most this many. Raises a problem if there is none."""
    answer = await calls.get_artifact_file(request, ns, run, step, path)
    assert isinstance(answer, StreamingResponse)
    found = bytearray()
    body: Any = answer.body_iterator
    async with aclosing(body):
        async for piece in body:
            found += piece
            if len(found) >= limit:
                break
    return bytes(found[:limit])


def picture_type(start: bytes) -> str | None:
    """The media type of a picture by its first bytes. SVG is none: it may hold scripts."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURES if start.startswith(magic)), None)


def as_text(data: bytes, cut: bool) -> str | None:
    """The text of a file, of which the end may be `cut` off within a character; None if it is no UTF-8 text."""
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        is_cut = cut and error.end == len(data) and error.reason == "unexpected end of data"
        return data[: error.start].decode() if is_cut else None
