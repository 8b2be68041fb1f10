"""Serializes the frames of a run's logs for the readers of a WebSocket (docs/api.md shows the result)."""

from controller.api.step_commands import CommandTexts
from controller.api.streaming.log_frames import EncodedLines, FrameQueue, LineEncoder
from controller.logs import BacklogEnd, CommandsStarted, Frame, LinePart, Lines, MissedLines, RunEnd, StreamEnd
from controller.logs.model import UNKNOWN_TIME, Block


def enqueue_frame(encoder: LineEncoder, texts: CommandTexts, queue: FrameQueue, frame: Frame) -> None:
    """Puts a frame into a reader's queue."""
    if isinstance(frame, RunEnd):
        queue.put(None, "done")
        return
    stream = (frame.stream.slug, frame.stream.attempt, frame.stream.container)
    match frame:
        case Lines():
            queue.put_lines(stream, _encode_lines(encoder, frame))
        case LinePart():
            time = None if frame.line.time_ns == UNKNOWN_TIME else frame.line.time_ns // 1000
            queue.put_partial(stream, line=frame.line.number, time=time, text=frame.line.text)
        case CommandsStarted():
            for start in frame.commands:
                time = None if start.time_ns == UNKNOWN_TIME else start.time_ns // 1000
                text = texts.text(frame.stream.slug, start.command)
                queue.put(stream, "command", index=start.command, line=start.line, time=time, text=text)
        case BacklogEnd():
            queue.put(stream, "live")
        case MissedLines():
            queue.put(stream, "missed", first=frame.first, last=frame.last)
        case StreamEnd():
            queue.put(stream, "end", lines=frame.lines)


def _encode_lines(encoder: LineEncoder, frame: Lines) -> list[EncodedLines]:
    """Lines as JSON. Lines keep their numbers for good, so stream and numbers identify what was encoded before."""
    key = (frame.stream, frame.first, frame.block.end)
    encoded = encoder.cached(key)
    return encoded if encoded is not None else encoder.encode(key, frame.first, timed_texts(frame.block))


def timed_texts(block: Block) -> list[tuple[int | None, str]]:
    """Time (microseconds since 1970) and text of each line.

    The block is decoded as a whole: a line break is part of no longer UTF-8 sequence.
    """
    texts = block.data.decode("utf-8", "replace").split("\n")
    times = (None if time == UNKNOWN_TIME else time // 1000 for time in block.times)
    # Past the last line break there is an empty text without a time.
    return list(zip(times, texts, strict=False))
