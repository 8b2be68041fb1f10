"""Pictures of the dashboard, in the Chromium of this machine."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tools.pictures.images import FOLDER
from tools.pictures.project import PictureError

if TYPE_CHECKING:
    from playwright.async_api import Page

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_WIDTH, _HEIGHT = 1100, 640
_COLOURS = 96
_MASK = r"""(masks) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    for (const [pattern, text] of masks)
      walker.currentNode.data = walker.currentNode.data.replace(new RegExp(pattern, "g"), text);
}"""


def find_chromium() -> str:
    """The path of the browser. Raises PictureError where there is none, or nothing to drive it with."""
    missing = [name for name in ("playwright", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        raise PictureError(f"not installed: {', '.join(missing)}; pip install -c constraints.txt -e '.[test]'")
    found = next((path for name in _PROGRAMS if (path := shutil.which(name)) is not None), None)
    if found is None:
        raise PictureError("Chromium is not installed, which takes the pictures of the dashboard: apt install chromium")
    return found


@asynccontextmanager
async def dashboard(chromium: str, address: str) -> AsyncIterator[Browser]:
    """A browser that is signed in by an address of `c8s open`."""
    from playwright.async_api import Error, async_playwright

    # As root, Chromium can't make a sandbox of its own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            page = await browser.new_page(
                viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=1.5, color_scheme="light"
            )
            await page.goto(address)
            await page.wait_for_url("**/runs")
            yield Browser(page)
        except Error as error:
            raise PictureError(f"the dashboard did not show what its picture is to show: {error.message}") from error
        finally:
            await browser.close()


class Browser:
    """A page of the dashboard."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def take(self, name: str, path: str, text: str, masks: dict[str, str]) -> None:
        """Write a page, below that of the runs, to docs/images, once it shows the text.

        Args:
            masks: regular expressions of what differs between two sittings, with what is shown for it.
        """
        address = self._page.url.partition("/runs")[0]
        await self._page.goto(f"{address}/{path}")
        await self._page.get_by_text(text).first.wait_for()
        await self._page.evaluate(_MASK, list(masks.items()))
        (FOLDER / f"{name}.png").write_bytes(_with_fewer_colours(await self._page.screenshot(full_page=True)))


def _with_fewer_colours(picture: bytes) -> bytes:
    """The same PNG in a third of its size: a page of text has few colours."""
    from PIL import Image

    made = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
    return made.getvalue()
