"""Logs of containers: collected, masked, numbered, streamed to readers and archived.

The operator uses `LogCollector`, the API `LogReader`. They share a `LogHub`.
"""

from controller.logs.collector import LogCollector
from controller.logs.errors import BadArchiveError, LogError, LogNotFoundError
from controller.logs.live.hub import LogHub
from controller.logs.model import (
    BacklogEnd,
    Block,
    CommandsStarted,
    CommandStart,
    Frame,
    Line,
    LinePart,
    Lines,
    MissedLines,
    RunEnd,
    Stream,
    StreamEnd,
)
from controller.logs.reader import LogReader
from controller.logs.run_stream import ReusedLogs
from controller.logs.timestamps import format_lines, format_timestamp

__all__ = [
    "BacklogEnd",
    "BadArchiveError",
    "Block",
    "CommandStart",
    "CommandsStarted",
    "Frame",
    "Line",
    "LinePart",
    "Lines",
    "LogCollector",
    "LogError",
    "LogHub",
    "LogNotFoundError",
    "LogReader",
    "MissedLines",
    "ReusedLogs",
    "RunEnd",
    "Stream",
    "StreamEnd",
    "format_lines",
    "format_timestamp",
]
