"""The driver of a terminal: Textual's own, whose thread wakes for keys only.

Textual's thread looks ten times a second, for the parser has to be asked whether an Escape was a key or the beginning
of a sequence: a tenth of a percent of a core while nothing is typed. This one waits without a limit, and asks once
after what was typed last.
"""

from __future__ import annotations

import errno
import linecache
import os
import selectors
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from itertools import takewhile
from threading import Event
from typing import Any

from textual import constants, events, messages
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.widgets import Input, TextArea

from workbench.tui.terminal.input_decoder import ESCAPE, InputDecoder

_READ_BYTES = 4096
_WORD_KEYS = "fb\x7f"
"""With Alt, these go from word to word in text fields, or delete one; macOS sends them for arrows with Option."""
_MARGIN = 0.01
"""Seconds beyond the delay after which the parser takes an Escape for a key: it must be over when it is asked."""
_EXIT_SECONDS = 5.0
"""How long the app may take to end when its terminal is gone."""
REPLACED_SOURCE = "790b04c744be48863358bea442ee4168cdaf98ef32309936ac798ba86aba47a0"
"""The digest of Textual's methods that this driver was written for: see `replaced_source`."""


def driver_for(default: type[Driver]) -> type[Driver]:
    """The driver for an app to which Textual would give this one.

    Another one is kept: that of Windows, of `TEXTUAL_DRIVER`, and of a Textual whose thread works in another way.
    """
    return WaitingDriver if default is LinuxDriver and replaced_source() == REPLACED_SOURCE else default


@cache
def replaced_source() -> str:
    """The digest of Textual's methods that read keys and that end the reading, as they are installed."""
    methods = _source(LinuxDriver.run_input_thread), _source(LinuxDriver.disable_input)
    return sha256("".join(methods).encode()).hexdigest()


def _source(method: Callable[..., Any]) -> str:
    """The text of a method, as by `inspect.getsource`, which takes 5 ms that the first picture would wait for."""
    code = method.__code__
    first, *others = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :] or [""]
    indent = " " * (len(first) - len(first.lstrip()) + 1)
    body = takewhile(lambda line: line.startswith(indent) or not line.strip(), others)
    return f"{first}{''.join(body)}".rstrip() + "\n"


class _ExitEvent(Event):
    """An event that a selector can wait for, too."""

    def __init__(self) -> None:
        super().__init__()
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
            weakref.finalize(self, os.close, end)

    def fileno(self) -> int:
        return self._reading

    def set(self) -> None:
        super().set()
        with suppress(BlockingIOError):  # Full: it can be read already.
            os.write(self._writing, b"\0")

    def clear(self) -> None:
        super().clear()
        with suppress(BlockingIOError):
            while os.read(self._reading, _READ_BYTES):
                pass


class WaitingDriver(LinuxDriver):
    """Waits for keys without looking for them again and again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exit_event = self._ends = _ExitEvent()

    def run_input_thread(self) -> None:
        """Read what is typed until `exit_event` is set, or the terminal is gone."""
        parser = XTermParser(self._debug)
        try:
            if not self._read_keys(parser):
                self._leave()
            for message in parser.tick():
                self.process_message(message)
        finally:
            with suppress(EOFError, ParseError):
                for _ in parser.feed(""):
                    pass

    def _read_keys(self, parser: XTermParser) -> bool:
        """Read until the event is set; False at the end of the input."""
        decoder = InputDecoder(self._is_one_key)
        wait: float | None = None
        # As Textual: on macOS, a terminal can't be waited for in another way.
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._ends, selectors.EVENT_READ)
            while not self._ends.is_set():
                ready = selector.select(wait)
                # Once after each key, when nothing waits for the rest of a sequence any more.
                wait = None
                if any(key.fd == self.fileno for key, _ in ready):
                    data = _read(self.fileno)
                    if not data:
                        return False
                    self._process(parser, decoder.decode(data))
                    wait = constants.ESCAPE_DELAY + _MARGIN
                elif not ready:
                    self._process(parser, decoder.end_escape())
                for message in parser.tick():
                    self.process_message(message)
        return True

    def _process(self, parser: XTermParser, parts: Iterable[str]) -> None:
        for part in parts:
            for message in [events.Key("escape", ESCAPE)] if part == ESCAPE else parser.feed(part):
                self.process_message(message)

    def _is_one_key(self, character: str) -> bool:
        """Whether Escape and this character are one key: it moves in a text, or the user gave it to an action."""
        if character in _WORD_KEYS:
            return isinstance(self._app.focused, (Input, TextArea))
        custom = {key for keys in getattr(self._app, "custom_keys", {}).values() for key in keys.split(",")}
        name = f"shift+{character.lower()}" if character.isupper() else character
        return not custom.isdisjoint((f"alt+{character}", f"alt+{name}"))

    def _sigcont_application(self, *given: Any) -> None:
        """Take the terminal up again after a stop, also after one by SIGSTOP, which no program is notified of.

        The thread that reads keys goes on then: it ends first, for two of them would take each other's keys.
        """
        if self._auto_restart and self._key_thread is not None and self._key_thread.is_alive():
            self.suspend_application_mode()
        super()._sigcont_application(*given)

    def _leave(self) -> None:
        """End the app when its terminal is gone; a pipe that has ended is no reason."""
        if not self.input_tty:
            return
        self.send_message(messages.ExitApp())
        if not self._ends.wait(_EXIT_SECONDS):
            # It can't draw its last picture, and nobody is left to tell.
            os._exit(1)


def _read(descriptor: int) -> bytes:
    """What was typed; nothing when the terminal is gone. Raises OSError."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""
