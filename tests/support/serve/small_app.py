"""A small app on the driver of `c8s serve`: shows what it is told, and ends, fails or gives a file away on request."""

from __future__ import annotations

import io
import os
import sys

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Static


class SmallApp(App[int]):
    """`q` ends it, `f` fails, `d` gives a file away, `u` opens an address, `b` draws a lot; other keys are shown."""

    typed = ""
    shape = ""

    def compose(self) -> ComposeResult:
        yield Static(id="said")

    def on_mount(self) -> None:
        self._say()

    def _say(self) -> None:
        role = "viewer" if "--read-only" in sys.argv else "presenter"
        self.query_one(Static).update(f"app {os.getpid()} of a {role} typed <{self.typed}> {self.shape} end")

    def on_resize(self, event: events.Resize) -> None:
        self.shape = f"{event.size.width}x{event.size.height}"
        self._say()

    def on_key(self, event: events.Key) -> None:
        match event.key:
            case "q":
                self.exit(0)
            case "f":
                os.write(2, b"what went wrong\n")
                os._exit(3)
            case "d":
                self.deliver_binary(io.BytesIO(b"x" * 200_000 + b"end"), save_filename='a"\r\nb.html')
            case "u":
                self.open_url("https://example.com/")
                self.open_url("javascript:alert(1)")
                self.open_url("file:///etc/passwd")
            case "b":
                for _ in range(800):
                    assert self._driver is not None
                    self._driver.write("\x1b[1;1H" + "noise " * 5000)
            case _:
                self.typed += event.character or ""
                self._say()


if __name__ == "__main__":
    sys.exit(SmallApp().run() or 0)
