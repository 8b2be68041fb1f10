"""Builds the tables that `kubectl get` prints."""

from __future__ import annotations

from datetime import UTC, datetime

from embedded.api.scheme import Column, ResourceType
from embedded.printers.columns import AGE, COLUMNS, NAME, CellFunction, PrinterColumn, format_age, json_path, path_cell
from embedded.types import JsonObject

_NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow "
    "a client to request the generation of an appropriate name automatically. Name is primarily intended for "
    "creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_CUSTOM_AGE = PrinterColumn("Age", AGE.cell, "date")


def build_table(
    resource: ResourceType,
    objects: list[JsonObject],
    list_metadata: JsonObject,
    *,
    include: str,
    now: datetime | None = None,
    version: str = "v1",
) -> JsonObject:
    """A meta.k8s.io Table. `include` is the part of the object in each row: `Metadata`, `Object` or `None`."""
    now = now or datetime.now(UTC)
    definitions, cells = _columns_for(resource)
    rows = []
    for obj in objects:
        row: JsonObject = {"cells": [cell(obj, now) for cell in cells]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{version}",
                "metadata": obj["metadata"],
            }
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": list_metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _columns_for(resource: ResourceType) -> tuple[list[JsonObject], list[CellFunction]]:
    if resource.schema is not None and resource.columns:
        definitions, cells = [_column_definition(NAME)], [NAME.cell]
        for column in resource.columns:
            about = column.description or f"Custom resource definition column (in JSONPath format): {column.path}"
            cells.append(_custom_column_cell(column))
            definitions.append(
                _column_definition(PrinterColumn(column.name, cells[-1], column.type, column.priority), about)
            )
        return definitions, cells
    columns = COLUMNS.get(resource.key, (NAME, _CUSTOM_AGE if resource.schema is not None else AGE))
    return [_column_definition(column) for column in columns], [column.cell for column in columns]


def _custom_column_cell(column: Column) -> CellFunction:
    if column.type == "date":
        return lambda obj, now: format_age(json_path(obj, column.path), now)
    return path_cell(column.path)


def _column_definition(column: PrinterColumn, about: str = "") -> JsonObject:
    is_name = column.name == "Name" and not column.priority
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if is_name else "",
        "description": _NAME_DESCRIPTION if is_name else about,
        "priority": column.priority,
    }
