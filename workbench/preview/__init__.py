"""Previews of files that nobody has checked, as lines of text with colours for a terminal.

`render_preview` runs in a process of its own with limits (`controller.worker`): the files are made by the steps of
runs, and the libraries that read them may need much time or memory, or fail in ways of their own.
"""

from __future__ import annotations

from workbench.preview.render import Preview, render_preview

__all__ = ["Preview", "render_preview"]
