"""Logs: followed, masked, numbered, shown to whoever watches, and archived.

`LogKeeper` is the operator's door, `LogReader` the API's. They share a `Hub`.
"""

from controller.logs.collector import LogKeeper
from controller.logs.errors import BadArchiveError, LogError, NoSuchLogError
from controller.logs.live.hub import Hub
from controller.logs.model import Block, Done, End, Frame, Line, Lines, Live, Missed, Stream
from controller.logs.reader import LogReader
from controller.logs.run_stream import Borrowed
from controller.logs.timestamps import timestamp, with_stamps

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
