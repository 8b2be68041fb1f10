"""Texts around a log: its heading, the reason of the phase, and the message in place of an empty log."""

from __future__ import annotations

from rich.text import Text

from workbench.client.models import FirstFailure, Step, StreamKey
from workbench.logs.search.matches import MatchIndex
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.theme import Palette, phase_sign
from workbench.tui.widgets.log.view import LogView


def heading(
    step: Step | None,
    key: StreamKey | None,
    view: LogView,
    matches: MatchIndex | None,
    filtered: MatchIndex | None,
    colours: Palette,
    width: int,
) -> Text:
    """The step, how long its log is, and how it is shown."""
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    if step is None:
        return text
    text.append(
        f"{phase_sign(step.phase, allowed=step.allow_failure)} ", colours.phase(step.phase, allowed=step.allow_failure)
    )
    text.append(sanitize_label(step.name, max(width // 2, 8)), colours.bold)
    if key is not None:
        text.append(_stream_text(step, key, view), colours.muted)
    if view.follow and not step.ended:
        text.append("  following", colours.success)
    if filtered is not None:
        text.append(f"  {'without' if filtered.inverted else 'only'} {len(filtered):,} kept", colours.accent)
    if matches is not None:
        text.append(f"  {_match_text(matches, view.current_line)}", colours.warning)
    if view.mark is not None:
        text.append(
            f"  {len(view.selected_lines()):,} marked · {key_label(view.app, 'log.copy', 'y')} copies",
            colours.highlight,
        )
    return text


def _stream_text(step: Step, key: StreamKey, view: LogView) -> str:
    words = f"  {view.line_count:,} line{'' if view.line_count == 1 else 's'}"
    if step.reused is not None:
        words += f"  from {sanitize_label(step.reused.run, 40)}"
    if len(step.attempts) > 1:
        words += f"  attempt {key.attempt} of {len(step.attempts)}"
    if key.container != "step":
        words += f"  container {sanitize_label(key.container, 20)}"
    return words


def _match_text(matches: MatchIndex, line: int) -> str:
    more = "" if matches.complete else "+"
    if not len(matches):
        return "no matches" if matches.complete else "searching …"
    at = matches.count_before(line)
    here = f"{at + 1:,} of " if at < len(matches) and matches[at] == line else ""
    return f"{here}{len(matches):,}{more} found"


def status_reason(step: Step | None, first: FirstFailure | None, colours: Palette, width: int) -> Text:
    """The reason of the step's phase, with the line that explains a failure."""
    if step is None:
        return Text()
    found = f"   line {first.line}: {first.text.strip()}" if first is not None else ""
    style = colours.phase(step.phase, allowed=step.allow_failure)
    return Text(" ", no_wrap=True).append(sanitize_label(f"{step.message or ''}{found}", width), style)


def empty_message(step: Step | None, key: StreamKey | None, *, filtered: bool) -> str:
    """Why no lines are shown."""
    if step is None:
        return "No step is selected."
    if key is None:
        return step.message or ("Waiting to start." if not step.ended else "The step did not run, so it has no log.")
    if filtered:
        return "No line matches the filter."
    return "The step printed nothing." if step.ended else "No output yet."
