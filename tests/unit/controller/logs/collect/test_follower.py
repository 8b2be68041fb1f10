"""Following a log: each byte once, in order, whatever the connection does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.logs.collect.follower import Finished, Follower, Gap, ReconnectPolicy
from controller.logs.collect.pod_log_source import PodId, PodLogSource, container_state
from controller.logs.collect.resume import ResumePoint
from controller.logs.collect.source import ContainerState
from controller.logs.timestamps import ParsedChunk, parse_timestamp
from tests.unit.controller.logs.fakes import FakeLogServer, no_sleep, timestamped_line


async def follow(
    cluster: FakeLogServer, position: ResumePoint | None = None, retry_policy: ReconnectPolicy | None = None
) -> tuple[bytes, list[int], list[str], int | None]:
    clock = iter(range(10**9))
    follower = Follower(
        PodLogSource(cluster, "ns", PodId("pod", "pod-uid"), "step"),
        position or ResumePoint(),
        retry_policy=retry_policy or ReconnectPolicy(),
        sleep=no_sleep,
        monotonic=lambda: next(clock) / 1000,
    )
    data, times, gaps, code = b"", list[int](), list[str](), None
    async for event in follower.events():
        if isinstance(event, ParsedChunk):
            data += event.data
            times.extend(event.times)
        elif isinstance(event, Gap):
            gaps.append(event.why)
        elif isinstance(event, Finished):
            code = event.exit_code
    return data, times, gaps, code


def test_lines_are_identified_by_time_and_order() -> None:
    assert timestamped_line(1.5, b"x") == b"2026-01-01T00:00:01.500000000Z x"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=6)), min_size=1, max_size=8),
    st.lists(st.integers(0, 200), max_size=4),
    st.booleans(),
    st.integers(1, 40),
)
async def test_a_stream_that_breaks_anywhere_is_read_whole(
    printed: list[tuple[int, bytes]], breaks: list[int], ended: bool, piece: int
) -> None:
    printed = sorted((at, text.replace(b"\n", b"_")) for at, text in printed)
    lines = [timestamped_line(at / 2, text) + b"\n" for at, text in printed]
    if not ended:
        lines[-1] = lines[-1][:-1]
    cluster = FakeLogServer(lines, breaks=list(breaks), piece=piece, exit_code=3)
    data, times, gaps, code = await follow(cluster)
    assert data == b"\n".join(text for _, text in printed) + b"\n" * ended
    assert times == [parse_timestamp(timestamped_line(at / 2, b"").strip()) for at, _ in printed]
    assert gaps == []
    assert code == 3


async def test_stream_end_of_a_running_container_is_a_break() -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(1, b"one\n"), timestamped_line(2, b"two\n")]
    cluster = FakeLogServer(lines, breaks=[len(lines[0])], clean_breaks=True, running_until_connection=2)
    data, _, gaps, _ = await follow(cluster)
    assert (data, gaps) == (b"one\none\ntwo\n", [])
    assert cluster.connections == [None, "2026-01-01T00:00:01Z"]


async def test_a_container_that_has_not_started_is_waited_for() -> None:
    cluster = FakeLogServer([timestamped_line(1, b"hello\n")], not_started=30)
    assert (await follow(cluster))[0] == b"hello\n"


async def test_lines_lost_to_rotation_are_a_visible_gap() -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"two\n"), timestamped_line(9, b"nine\n")]
    cluster = FakeLogServer(lines, breaks=[len(lines[0]) + len(lines[1])], rotated=True, piece=1000)
    data, _, gaps, _ = await follow(cluster)
    assert data == b"one\ntwo\nnine\n"
    assert gaps == ["output was lost while the connection was broken"]


async def test_a_restarted_container_has_lost_nothing() -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"two"), timestamped_line(9, b"nine\n")]
    cluster = FakeLogServer(lines, [len(lines[0] + lines[1])], 1000, rotated=True, clean_breaks=True, restarts=(1, 9.0))
    cluster.running_until_connection = 2
    data, _, gaps, _ = await follow(cluster)
    assert (data, gaps) == (b"one\ntwo\nnine\n", [])


async def test_a_restart_that_printed_nothing_has_lost_nothing() -> None:
    lines = [timestamped_line(1, b"one\n"), b""]
    cluster = FakeLogServer(lines, [len(lines[0])], 1000, rotated=True, clean_breaks=True, restarts=(1, 9.0))
    cluster.running_until_connection = 2
    data, _, gaps, _ = await follow(cluster)
    assert (data, gaps) == (b"one\n", [])


@pytest.mark.parametrize(
    ("clean", "restarts"),
    [
        pytest.param(False, (1, 9.0), id="the stream broke before the restart"),
        pytest.param(True, (2, 9.0), id="the log of one start was never read"),
        pytest.param(True, (0, 1.0), id="the log was rotated"),
    ],
)
async def test_output_between_two_streams_is_lost(clean: bool, restarts: tuple[int, float]) -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"two\n"), timestamped_line(9, b"nine\n")]
    cluster = FakeLogServer(
        lines, [len(lines[0] + lines[1])], 1000, rotated=True, clean_breaks=clean, restarts=restarts
    )
    cluster.running_until_connection = 2
    _, _, gaps, _ = await follow(cluster)
    assert gaps == ["output was lost while the connection was broken"]


async def test_deleted_pod_ends_in_a_gap() -> None:
    data, _, gaps, code = await follow(FakeLogServer([], gone=True))
    assert (data, code) == (b"", None)
    assert gaps == ["the pod is gone, and the unread rest of its output with it"]


async def test_another_pod_of_the_same_name_is_not_read_on() -> None:
    source = PodLogSource(FakeLogServer([]), "ns", PodId("pod", "uid-of-the-pod-before"), "step")
    assert await source.state() == ContainerState("gone")


async def test_a_log_that_can_never_be_read_is_given_up_visibly() -> None:
    cluster = FakeLogServer([timestamped_line(1, b"one\n")], breaks=[0] * 100_000)
    _, _, gaps, code = await follow(cluster, retry_policy=ReconnectPolicy(give_up_after=0.5))
    assert gaps == ["the rest of the output could not be read"]
    assert code == 0


async def test_following_resumes_after_the_archived_part() -> None:
    lines = [
        timestamped_line(1, b"one\n"),
        timestamped_line(2, b"two\n"),
        timestamped_line(2, b"two\n"),
        timestamped_line(2, b"three\n"),
    ]
    times = [parse_timestamp(line.partition(b" ")[0]) for line in lines]
    data, _, gaps, _ = await follow(FakeLogServer(lines), ResumePoint(times[1:3]))
    assert (data, gaps) == (b"three\n", [])


def test_a_container_is_found_among_init_containers_too() -> None:
    pod = {
        "status": {
            "phase": "Running",
            "initContainerStatuses": [{"name": "fetch", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [{"name": "step", "state": {"waiting": {"reason": "PodInitializing"}}}],
        }
    }
    assert container_state(pod, "fetch").phase == "terminated"
    assert container_state(pod, "step").phase == "waiting"
    assert container_state({"status": {"phase": "Failed"}}, "step").phase == "never"
