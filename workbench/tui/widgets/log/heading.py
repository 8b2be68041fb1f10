"""Texts around a log: its heading, the reason of the phase, and the message in place of an empty log."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from workbench.client.models import FirstFailure, Step, StreamKey
from workbench.logs.search.context import ContextIndex
from workbench.logs.search.matches import MatchIndex
from workbench.logs.step_logs import StreamState
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.theme import Palette, phase_sign
from workbench.tui.widgets.log.view import LogView


@dataclass(frozen=True)
class LogStatus:
    """How much of a log is here. `offline_since`: the time of the lost connection, as a text."""

    state: StreamState = "loading"
    problem: str | None = None
    offline_since: str | None = None
    hold: str | None = None
    """Where the step will be held, as `is held before its commands`."""


def heading(
    step: Step | None,
    key: StreamKey | None,
    view: LogView,
    status: LogStatus,
    matches: MatchIndex | None,
    filtered: MatchIndex | None,
    colours: Palette,
    width: int,
) -> Text:
    """The step, how long its log is, and how it is shown."""
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    if step is None:
        return text
    phase = _shown_phase(step, key)
    text.append(f"{phase_sign(phase, allowed=step.allow_failure)} ", colours.phase(phase, allowed=step.allow_failure))
    text.append(sanitize_label(step.name, max(width // 2, 8)), colours.bold)
    if key is not None:
        text.append(_stream_text(step, key, view), colours.muted)
        _append_status(text, step, view, status, colours)
    if status.hold is not None:
        text.append(f"  {status.hold}", colours.warning)
    if filtered is not None:
        text.append(f"  {_filter_text(filtered)}", colours.accent)
    if matches is not None:
        text.append(f"  {match_text(matches, view.current_line)}", colours.warning)
    if view.mark is not None:
        text.append(
            f"  {len(view.selected_lines()):,} marked · {key_label(view.app, 'log.copy', 'y')} copies",
            colours.highlight,
        )
    return text


def _shown_phase(step: Step, key: StreamKey | None) -> str:
    """The phase of the attempt that is shown: an earlier one has failed, whatever became of the step."""
    shown = next((each for each in step.attempts if key is not None and each.number == key.attempt), None)
    return step.state if shown is None or shown is step.last_attempt else shown.phase


def _append_status(text: Text, step: Step, view: LogView, status: LogStatus, colours: Palette) -> None:
    if status.state == "failed":
        text.append(f"  incomplete: {sanitize_label(status.problem or '', 120)}", colours.warning)
    elif status.offline_since is not None and status.state != "complete":
        text.append(f"  as of {status.offline_since}", colours.warning)
    elif status.state == "loading" and view.line_count:
        text.append("  loading …", colours.accent)
    elif view.follow and not step.ended:
        text.append("  following", colours.success)


def _stream_text(step: Step, key: StreamKey, view: LogView) -> str:
    words = f"  {view.line_count:,} line{'' if view.line_count == 1 else 's'}"
    if step.reused is not None:
        words += f"  from {sanitize_label(step.reused.run, 40)}"
    if len(step.attempts) > 1:
        words += f"  attempt {key.attempt} of {len(step.attempts)}"
    if key.container != "step":
        words += f"  container {sanitize_label(key.container, 20)}"
    return words


def _filter_text(filtered: MatchIndex) -> str:
    around = f" with {filtered.context} around" if isinstance(filtered, ContextIndex) else ""
    name = "inverted filter" if filtered.inverted else "filter"
    return f"{name}: {plural(len(filtered), 'line')}{around}"


def match_text(matches: MatchIndex, line: int) -> str:
    """How many matches there are, and which one is at this line."""
    more = "" if matches.complete else "+"
    if not len(matches):
        return "no matches" if matches.complete else "searching …"
    at = matches.count_before(line)
    here = f"{at + 1:,} of " if at < len(matches) and matches[at] == line else ""
    return f"{here}{len(matches):,}{more} found"


def status_reason(
    step: Step | None, first: FirstFailure | None, colours: Palette, width: int, held_keys: str = ""
) -> Text:
    """The reason of the step's phase, with the line that explains a failure, or what to do with a held step."""
    if step is None:
        return Text()
    if step.held is not None:
        text = Text(" ", no_wrap=True).append(f"{_held_text(step)}   ", colours.warning)
        return text.append(sanitize_label(held_keys, max(width - text.cell_len, 0)), colours.plain)
    found = f"   line {first.line}: {first.text.strip()}" if first is not None else ""
    style = colours.phase(step.phase, allowed=step.allow_failure)
    return Text(" ", no_wrap=True).append(sanitize_label(f"{step.message or ''}{found}", width), style)


def _held_text(step: Step) -> str:
    if step.held == "before":
        return "Held, not begun"
    code = step.last_attempt.exit_code if step.last_attempt is not None else None
    failed = f", exit code {code}" if code else ""
    return "Held, succeeded" if step.held == "after" else f"Held, failed{failed}"


def empty_message(
    step: Step | None, key: StreamKey | None, status: LogStatus, filtered: MatchIndex | None = None
) -> str:
    """Why no lines are shown."""
    if step is None:
        return "No step is selected."
    if key is None:
        return step.message or ("Waiting to start." if not step.ended else "The step did not run, so it has no log.")
    if status.state == "failed":
        return f"The log can't be loaded: {status.problem}"
    if status.offline_since is not None and status.state != "complete":
        return f"The connection was lost at {status.offline_since}; the log is loaded when it is back."
    if filtered is not None and len(filtered.log):
        done = filtered.complete and status.state != "loading"
        return "No line matches the filter." if done else "No line matches the filter yet; still searching …"
    return {
        "loading": "Loading the log …",
        "live": "No output yet.",
        "complete": "No output.",
    }[status.state]
