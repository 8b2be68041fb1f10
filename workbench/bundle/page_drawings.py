"""The drawings of the page: the graph of the steps and their times, as SVG without styles of its own."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from xml.etree.ElementTree import Element

from controller.dag import Graph, assign_layers, assign_rows, common_phase, find_groups, group_nodes
from workbench.bundle.markup import element
from workbench.client.models import Run, Step
from workbench.report.report import step_spans
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label

PHASE_SIGNS = {"Succeeded": "✓", "Failed": "✗", "Skipped": "»", "Cancelled": "⊘", "Running": "▶"}
_HEIGHT, _ROW, _GAP, _MARGIN = 28, 40, 44, 4
_CHARACTER, _PADDING = 7.5, 34
_MAX_LABEL = 28
_MIN_CLOSED_MEMBERS = 4
"""Matrices of so many steps are one node, as in the workbench."""
_MAX_LINES = 4_000
"""Lines between nodes in a drawing: with more of them nothing can be seen, and the page gets large."""
_CHART_LEFT, _CHART_WIDTH, _CHART_ROW, _BAR = 220, 620, 22, 12


def draw_graph(run: Run) -> Element | None:
    """The graph; None if it has too many lines to be drawn."""
    names = [step.name for step in run.steps]
    edges = [(needed, step.name) for step in run.steps for needed in step.depends_on]
    groups = [group for group in find_groups(names).values() if len(group.members) >= _MIN_CLOSED_MEMBERS]
    grouped = group_nodes(names, edges, groups)
    phases = {step.name: step.phase for step in run.steps}
    for group in groups:
        phases[group.key] = common_phase([phases[name] for name in group.members])
    counts = {group.key: len(group.members) for group in groups}
    graph = Graph.of(grouped.nodes, grouped.edges).reduced()
    if len(graph.edges) > _MAX_LINES:
        return None
    layering = assign_layers(graph)
    rows = assign_rows(layering)
    labels = [_label(name, counts.get(name)) for name in graph.nodes]
    columns, left = [], _MARGIN
    for layer in layering.layers:
        width = max((_width(labels[item]) for item in layer if layering.is_node(item)), default=_MARGIN)
        columns.append((left, width))
        left += width + _GAP
    layer_of = {item: at for at, layer in enumerate(layering.layers) for item in layer}
    lines, hops = [], sorted({hop for route in layering.routes.values() for hop in pairwise(route)})
    for source, target in hops[:_MAX_LINES]:
        start, width = columns[layer_of[source]]
        x, end = start + (_width(labels[source]) if layering.is_node(source) else 0), columns[layer_of[target]][0]
        y, to = _middle(rows[source]), _middle(rows[target])
        bend = start + width + _GAP // 3
        lines.append(f"M{x} {y}H{bend}L{bend + _GAP // 3} {to}H{end}")
    height = (max(rows, default=0) + 1) * _ROW + _MARGIN
    drawing = _svg(left, height, "The steps and what they depend on")
    drawing.append(element("path", {"class": "line", "d": "".join(lines)}))
    for item, name in enumerate(graph.nodes):
        x = columns[layer_of[item]][0]
        drawing.append(_node(name, labels[item], phases[name], x, rows[item] * _ROW + _MARGIN))
    return drawing


def draw_chart(run: Run, now: datetime) -> Element | None:
    """The times of the steps as bars; None if no step has started."""
    spans = {step.name: step_spans(run, step) for step in run.steps}
    found = [span for each in spans.values() for span in each]
    if not found:
        return None
    begin = min(span.since for span in found)
    total = max((max(span.until or now for span in found) - begin).total_seconds(), 0.001)

    def place(moment: datetime) -> float:
        return round(_CHART_LEFT + _CHART_WIDTH * (moment - begin).total_seconds() / total, 1)

    shown = [step for step in run.steps if spans[step.name]]
    drawing = _svg(_CHART_LEFT + _CHART_WIDTH + 90, len(shown) * _CHART_ROW + 8, "When each step ran")
    for row, step in enumerate(shown):
        y = row * _CHART_ROW + 4
        drawing.append(element("text", {"x": "0", "y": str(y + 11)}, _step_label(step)))
        for span in spans[step.name]:
            x, end = place(span.since), place(span.until or now)
            part = f"bar {span.part} {step.phase}" if span.part == "running" else f"bar {span.part}"
            box = {
                "class": part,
                "x": str(x),
                "y": str(y),
                "width": str(round(max(end - x, 1), 1)),
                "height": str(_BAR),
            }
            drawing.append(
                element("rect", box, element("title", {}, f"{span.part} {format_duration(span.seconds(now))}"))
            )
        seconds = sum(span.seconds(now) for span in spans[step.name])
        at = {"class": "muted", "x": str(_CHART_LEFT + _CHART_WIDTH + 8), "y": str(y + 11)}
        drawing.append(element("text", at, format_duration(seconds)))
    return drawing


def _svg(width: float, height: float, title: str) -> Element:
    size = {"width": str(round(width)), "height": str(round(height)), "viewBox": f"0 0 {round(width)} {round(height)}"}
    return element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size}, element("title", {}, title))


def _node(name: str, label: str, phase: str, x: float, y: float) -> Element:
    box = {"x": str(x), "y": str(y), "width": str(_width(label)), "height": str(_HEIGHT), "rx": "5"}
    return element(
        "g",
        {"class": f"node {_class(phase)}"},
        element("title", {}, f"{sanitize_label(name, 200)}: {sanitize_label(phase, 20)}"),
        element("rect", box),
        element("text", {"class": "sign", "x": str(x + 10), "y": str(y + 19)}, PHASE_SIGNS.get(phase, "·")),
        element("text", {"x": str(x + 27), "y": str(y + 19)}, label),
    )


def _class(phase: str) -> str:
    return phase if phase in PHASE_SIGNS else "Pending"


def _step_label(step: Step) -> str:
    return f"{PHASE_SIGNS.get(step.phase, '·')} {sanitize_label(step.name, _MAX_LABEL)}"


def _label(name: str, members: int | None) -> str:
    text = sanitize_label(name, _MAX_LABEL)
    return text if members is None else f"{text} ×{members}"


def _width(label: str) -> int:
    return round(len(label) * _CHARACTER + _PADDING)


def _middle(row: int) -> float:
    return row * _ROW + _MARGIN + _HEIGHT / 2
