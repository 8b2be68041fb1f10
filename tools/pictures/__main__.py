"""`python -m tools.pictures`: takes all pictures of the documentation."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tools.pictures import images
from tools.pictures.browser import find_chromium
from tools.pictures.project import SANDBOX, PictureError, Project, c8s
from tools.pictures.scenes import prepare, shoot
from tools.pictures.tour import shoot_tour


def main() -> int:
    """Returns 1 if pictures can't be taken, 130 if it was interrupted."""
    try:
        chromium = find_chromium()
        with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
            project = Project(Path(folder))
            try:
                c8s("up", "--name", SANDBOX)
                prepare(project)
                asyncio.run(shoot(project, chromium))
                asyncio.run(shoot_tour(project))
            finally:
                c8s("down", "--name", SANDBOX, "--delete")
    except PictureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the sandbox is deleted, and some pictures may be new", file=sys.stderr)
        return 130
    images.record()
    return 0


if __name__ == "__main__":
    sys.exit(main())
