"""Tells a person who looks at something else that a run has ended: bell, desktop notification, terminal title.

OSC 9 is understood by iTerm2, WezTerm, kitty, Ghostty and Windows Terminal, OSC 777 by urxvt, foot, WezTerm and
Ghostty. A terminal ignores what it does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from workbench.text.sanitize import sanitize_label

SAVE_TITLE, RESTORE_TITLE = "\x1b[22;2t", "\x1b[23;2t"
"""XTWINOPS: push the window title on the terminal's stack, and pop it."""


def notification_sequences(text: str, ways: Collection[str], environment: Mapping[str, str]) -> str:
    """What to write to the terminal. `ways` are those of `Preferences.notify`; the text is untrusted."""
    # A semicolon separates the parts of OSC 777.
    said = sanitize_label(text, 200).replace(";", ",")
    written = ""
    if "osc9" in ways:
        written += _through_tmux(f"\x1b]9;c8s: {said}\x1b\\", environment)
    if "osc777" in ways:
        written += _through_tmux(f"\x1b]777;notify;c8s;{said}\x1b\\", environment)
    if "title" in ways:
        written += f"\x1b]2;{said}\x1b\\"
    if "bell" in ways:
        written += "\a"
    return written


def _through_tmux(sequence: str, environment: Mapping[str, str]) -> str:
    """Wrapped so that tmux hands it on, where its option `allow-passthrough` is on."""
    if "TMUX" not in environment:
        return sequence
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
