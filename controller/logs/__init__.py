"""Logs: followed, masked, numbered, shown to whoever watches, and archived.

`LogKeeper` is the operator's door, `LogReader` the API's. They share a `Hub`.
"""

from controller.logs.errors import BadArchiveError, LogError, NoSuchLogError
from controller.logs.following import Borrowed
from controller.logs.hub import Hub
from controller.logs.keeper import LogKeeper
from controller.logs.reader import LogReader
from controller.logs.stamps import timestamp, with_stamps
from controller.logs.stream import Block, Done, End, Frame, Line, Lines, Live, Missed, Stream

__all__ = [
    "BadArchiveError",
    "Block",
    "Borrowed",
    "Done",
    "End",
    "Frame",
    "Hub",
    "Line",
    "Lines",
    "Live",
    "LogError",
    "LogKeeper",
    "LogReader",
    "Missed",
    "NoSuchLogError",
    "Stream",
    "timestamp",
    "with_stamps",
]
