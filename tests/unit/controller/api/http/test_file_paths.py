"""Paths of files in addresses."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from controller.api.http.file_paths import FILE_PATH


@pytest.mark.parametrize("path", ["out/a.txt", "out/new\nline.txt", "out/ends\n", "\n", "a?#b", "漢/\x1b[31m", "a//b"])
def test_a_path_has_any_characters(path: str) -> None:
    app = FastAPI()

    @app.get(f"/files/{FILE_PATH}")
    def read(path: str) -> None: ...

    (route,) = [each for each in app.routes if isinstance(each, APIRoute)]
    match, scope = route.matches({"type": "http", "method": "GET", "path": f"/files/{path}", "root_path": ""})
    assert match == Match.FULL
    assert scope["path_params"] == {"path": path}
    assert list(app.openapi()["paths"]) == ["/files/{path}"]
