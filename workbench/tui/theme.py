"""Themes, and the sign and colour of each phase; no meaning depends on colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.theme import Theme

from workbench.text import sanitize

DARK = Theme(
    name="c8s-dark",
    primary="#7aa7f0",
    secondary="#5b86c9",
    accent="#c4a0e8",
    success="#8ec07c",
    warning="#e0af68",
    error="#f0737d",
    foreground="#d5dae3",
    background="#12151b",
    surface="#171b23",
    panel="#1f2530",
    dark=True,
    variables={
        "footer-background": "#171b23",
        "footer-key-foreground": "#7aa7f0",
        "footer-description-foreground": "#8a93a3",
        "border": "#39424f",
        "border-blurred": "#2a313c",
        "scrollbar": "#39424f",
        "scrollbar-background": "#171b23",
        "scrollbar-corner-color": "#171b23",
    },
)

LIGHT = Theme(
    name="c8s-light",
    primary="#1f5fb8",
    secondary="#3c78c8",
    accent="#7c3fb0",
    success="#2e7d32",
    warning="#9a5b00",
    error="#c0263a",
    foreground="#1c2430",
    background="#fbfbf9",
    surface="#f0f1ee",
    panel="#e4e7e6",
    dark=False,
    variables={
        "footer-background": "#f0f1ee",
        "footer-key-foreground": "#1f5fb8",
        "footer-description-foreground": "#566070",
        "border": "#b6bec8",
        "border-blurred": "#d3d8dd",
        "scrollbar": "#b6bec8",
        "scrollbar-background": "#f0f1ee",
        "scrollbar-corner-color": "#f0f1ee",
    },
)

PHASE_SIGNS = {
    "Pending": "●",
    "Queued": "●",
    "Running": "◐",
    "Held": "‖",
    "Succeeded": "✓",
    "Failed": "✗",
    "Skipped": "»",
    "Cancelled": "⊘",
}
ALLOWED_FAILURE_SIGN = "!"
ERROR_SIGN, WRAP_SIGN = "▎", "↳"
"""Before a line that looks like an error, and before a row that continues the line above."""


@dataclass(frozen=True)
class Palette:
    """The styles widgets draw with, taken from the theme of the moment."""

    plain: Style
    muted: Style
    faint: Style
    bold: Style
    line: Style
    highlight: Style
    success: Style
    warning: Style
    error: Style
    running: Style
    accent: Style
    cursor: Style
    cursor_blurred: Style
    match: Style

    def phase(self, phase: str, *, allowed: bool = False) -> Style:
        """The colour of a phase. A failure that is allowed is a warning."""
        if phase == "Failed" and allowed:
            return self.warning
        return {
            "Running": self.running,
            "Succeeded": self.success,
            "Failed": self.error,
            "Cancelled": self.warning,
            "Held": self.warning,
        }.get(phase, self.muted)


def phase_sign(phase: str, *, allowed: bool = False) -> str:
    """One cell for a phase. A failure that is allowed has a sign of its own, not only a colour."""
    return ALLOWED_FAILURE_SIGN if allowed and phase == "Failed" else PHASE_SIGNS.get(phase, "?")


def palette(app: App[object]) -> Palette:
    variables = app.theme_variables
    names = ("foreground", "background", "success", "warning", "error", "primary", "accent")
    return _palette(*(variables[name] for name in names))


@lru_cache(maxsize=8)
def _palette(
    foreground: str, background: str, success: str, warning: str, error: str, primary: str, accent: str
) -> Palette:
    front, back = Color.parse(foreground), Color.parse(background)
    shades = front.ansi is None and back.ansi is None

    def shade(amount: float) -> Style:
        # A terminal's own colours can't be mixed; they can be dimmed.
        return Style(color=back.blend(front, amount).rich_color) if shades else Style(dim=True)

    def colour(name: str) -> Style:
        return Style(color=Color.parse(name).rich_color)

    def ground(amount: float) -> Style:
        if not shades:
            # With one colour for all of the row: each word reversed in its own would tear it to pieces.
            return Style(color=front.rich_color, reverse=True)
        return Style(bgcolor=back.blend(Color.parse(primary), amount).rich_color)

    return Palette(
        plain=Style(color=front.rich_color),
        muted=shade(0.62),
        faint=shade(0.4),
        bold=Style(color=front.rich_color, bold=True),
        line=shade(0.36),
        highlight=colour(primary),
        success=colour(success),
        warning=colour(warning),
        error=colour(error),
        running=colour(primary) + Style(bold=True),
        accent=colour(accent),
        cursor=ground(0.34) + Style(bold=True),
        cursor_blurred=ground(0.16),
        match=Style(color=back.rich_color, bgcolor=Color.parse(warning).rich_color),
    )


@lru_cache(maxsize=512)
def rich_style(style: sanitize.Style) -> Style:
    """The style of a piece of a log line for the screen."""
    return Style(
        color=_rich_colour(style.foreground),
        bgcolor=_rich_colour(style.background),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
        reverse=style.reverse or None,
        strike=style.strike or None,
    )


def _rich_colour(colour: sanitize.Colour | None) -> str | None:
    if colour is None:
        return None
    if isinstance(colour, int):
        return f"color({colour})"
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"
