"""What is said above a log and in its place when it has no lines."""

from __future__ import annotations

from rich.text import Text

from workbench.client.models import FirstFailure, Step, StreamKey
from workbench.logs.search.matches import Matches
from workbench.text.sanitize import label
from workbench.tui.base_app import key_of
from workbench.tui.theme import Palette, sign
from workbench.tui.widgets.log.view import LogView


def heading(
    step: Step | None,
    key: StreamKey | None,
    view: LogView,
    found: Matches | None,
    kept: Matches | None,
    colours: Palette,
    width: int,
) -> Text:
    """The step, how long its log is, and how it is shown."""
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    if step is None:
        return text
    text.append(
        f"{sign(step.phase, allowed=step.allow_failure)} ", colours.phase(step.phase, allowed=step.allow_failure)
    )
    text.append(label(step.name, max(width // 2, 8)), colours.bold)
    if key is not None:
        text.append(_stream_words(step, key, view), colours.muted)
    if view.follow and not step.ended:
        text.append("  following", colours.success)
    if kept is not None:
        text.append(f"  {'without' if kept.inverted else 'only'} {len(kept):,} kept", colours.accent)
    if found is not None:
        text.append(f"  {_found_words(found, view.place)}", colours.warning)
    if view.mark is not None:
        text.append(f"  {len(view.chosen()):,} marked · {key_of(view.app, 'log.copy', 'y')} copies", colours.lit)
    return text


def _stream_words(step: Step, key: StreamKey, view: LogView) -> str:
    words = f"  {view.count:,} line{'' if view.count == 1 else 's'}"
    if step.reused is not None:
        words += f"  from {label(step.reused.run, 40)}"
    if len(step.attempts) > 1:
        words += f"  attempt {key.attempt} of {len(step.attempts)}"
    if key.container != "step":
        words += f"  container {label(key.container, 20)}"
    return words


def _found_words(found: Matches, place: int) -> str:
    more = "" if found.complete else "+"
    if not len(found):
        return "nothing found" if found.complete else "looking …"
    at = found.place(place)
    here = f"{at + 1:,} of " if at < len(found) and found[at] == place else ""
    return f"{here}{len(found):,}{more} found"


def reason(step: Step | None, first: FirstFailure | None, colours: Palette, width: int) -> Text:
    """Why the step is as it is, with the line that tells it."""
    if step is None:
        return Text()
    found = f"   line {first.line}: {first.text.strip()}" if first is not None else ""
    style = colours.phase(step.phase, allowed=step.allow_failure)
    return Text(" ", no_wrap=True).append(label(f"{step.message or ''}{found}", width), style)


def emptiness(step: Step | None, key: StreamKey | None, *, filtered: bool) -> str:
    """Why there is no line to see."""
    if step is None:
        return "No step is selected."
    if key is None:
        return step.message or ("Waiting to start." if not step.ended else "It did not run, so it has no log.")
    if filtered:
        return "No line matches what is to be kept; ask for other lines to change that."
    return "It printed nothing." if step.ended else "Nothing printed yet."
