"""Images as characters: two pixels in each cell where there are colours, else shades of grey."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.text.sanitize import sanitize_label

_FORMATS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_WEBP = (b"RIFF", b"WEBP")
_MAX_PIXELS = 50_000_000
_GREYS = " .:-=+*#%@"
_BACKGROUND = (48, 48, 48)
"""Behind transparent pixels: both light and dark drawings are visible on it."""


def image_format(start: bytes) -> str | None:
    """The format of an image by its first bytes."""
    if start[:4] == _WEBP[0] and start[8:12] == _WEBP[1]:
        return "WEBP"
    return next((name for magic, name in _FORMATS if start.startswith(magic)), None)


def render_image(path: Path, form: str, width: int, height: int, colours: bool) -> tuple[str, list[str], str | None]:
    """What the file is, its rows, and what is not shown."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        advice = "Install Pillow (pip install 'c8s-workbench[images]') to see it here."
        return f"{form} image", [], advice
    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    try:
        with warnings.catch_warnings():
            # More pixels than the limit are a warning up to twice of it.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=[form]) as image:
                kind = f"{form} image, {image.width} x {image.height}"
                room = (max(width, 8), max(height, 4) * (2 if colours else 1))
                image.draft("RGB", room)
                shown = _fitted(image, room, squeeze=1.0 if colours else 0.5)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"{form} image", [], f"It has more than {_MAX_PIXELS:,} pixels."
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        return f"damaged {form} image", [], f"It can't be shown: {sanitize_label(str(error), 200)}"
    return kind, list(_half_blocks(shown) if colours else _greys(shown)), None


def _fitted(image: Any, room: tuple[int, int], squeeze: float) -> Any:
    """The image on a background, in at most `room` pixels, with `squeeze` of its height for cells that are higher."""
    scale = min(room[0] / image.width, room[1] / (image.height * squeeze), 1.0)
    size = (max(round(image.width * scale), 1), max(round(image.height * squeeze * scale), 1))
    from PIL import Image

    small = image.convert("RGBA").resize(size)
    behind = Image.new("RGBA", size, (*_BACKGROUND, 255))
    behind.alpha_composite(small)
    return behind.convert("RGB")


def _half_blocks(image: Any) -> Iterator[str]:
    pixels = image.load()
    for y in range(0, image.height, 2):
        cells = []
        for x in range(image.width):
            red, green, blue = pixels[x, y]
            below = pixels[x, y + 1] if y + 1 < image.height else None
            under = f";48;2;{below[0]};{below[1]};{below[2]}" if below is not None else ";49"
            cells.append(f"\x1b[38;2;{red};{green};{blue}{under}m▀")
        yield "".join(cells) + "\x1b[0m"


def _greys(image: Any) -> Iterator[str]:
    grey = image.convert("L")
    pixels = grey.load()
    for y in range(grey.height):
        yield "".join(_GREYS[pixels[x, y] * len(_GREYS) // 256] for x in range(grey.width))
