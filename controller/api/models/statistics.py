"""Statistics of pipelines."""

from pydantic import Field

from controller.api.models.common import ResponseModel


class Slower(ResponseModel):
    """Since when the durations are more than 30 %, and half a second, above the median of those before."""

    before_seconds: float = Field(description="median of the durations before")
    percent: int | None = Field(description="how much the median since then is above that")
    since_run: str
    since_commit: str | None = Field(None, description="commit of that run")


class PipelineSummary(ResponseModel):
    """The durations of the last runs of a pipeline, oldest first; null for runs that did not succeed."""

    pipeline: str
    count: int = Field(description="runs, at most 50")
    succeeded: int
    failed: int
    seconds: list[float | None]
    median_seconds: float | None
    last_seconds: float | None
    slower: Slower | None


class StatisticsList(ResponseModel):
    """The pipelines of the namespace that have ended runs, by name."""

    items: list[PipelineSummary]


class RunRecord(ResponseModel):
    """A run that has ended; it may have been removed since."""

    run: str
    number: int | None
    commit: str | None
    branch: str | None
    phase: str
    ended_at: str
    seconds: float | None


class StepTestCounts(ResponseModel):
    """How many tests the last reports of a step had."""

    total: int
    failed: int
    skipped: int


class StepStatistics(ResponseModel):
    """One step over the last runs that have it, oldest first.

    `seconds` is null where the step did not succeed, was reused, or ran only the tests that had failed.
    """

    name: str
    phases: list[str]
    succeeded: int
    failed: int
    reused: int
    seconds: list[float | None] = Field(description="from the begin of its commands to their end")
    queue_seconds: list[float | None] = Field(description="from when only limits held it back to its begin")
    median_seconds: float | None
    last_seconds: float | None
    median_queue_seconds: float | None
    artifact_bytes: int | None = Field(description="of the last run that stored some")
    log_bytes: int | None = Field(description="of the last run, all attempts together")
    tests: StepTestCounts | None
    peak_memory: int | None = Field(description="bytes, the highest that was measured; null without a sample")
    peak_cpu: int | None = Field(description="thousandths of a core, the highest that was measured")
    usage_samples: int
    runs_with_usage: int = Field(description="runs in which it was measured")
    out_of_memory: int = Field(description="runs in which an attempt was killed for its memory limit")
    slower: Slower | None


class PipelineStatistics(PipelineSummary):
    """The same with the runs and the steps."""

    runs: list[RunRecord]
    steps: list[StepStatistics]
