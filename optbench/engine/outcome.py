"""From a trajectory of lanes to one result a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optbench.engine.lanes import Trajectory, has_diverged
from optbench.engine.runs import Result, Run, Status, Trace
from optbench.engine.schedule import log_schedule

NEVER_MOVED = "its parameters never changed, although the gradient was not zero"


def results(
    runs: Sequence[Run],
    trajectory: Trajectory,
    targets: Sequence[float],
    observe_every: int,
    *,
    seconds_per_step: float | None = None,
    state_bytes: int | None = None,
) -> list[Result]:
    """Cut each lane's record where it diverged, find its hits, thin it to the log schedule.

    Parameters
    ----------
    runs : sequence of K runs
        In the order of the lanes.
    trajectory : Trajectory
        Of those lanes.
    targets : sequence of float
        Relative gaps of the problem.
    observe_every : int
        Of the problem: it fixes the schedule.
    seconds_per_step, state_bytes :
        Measured apart, the same for all lanes.
    """
    steps, gaps = trajectory.steps, trajectory.gaps
    lost = has_diverged(gaps, gaps[0])
    # A lane's record ends with the observation that shows its divergence.
    end = np.where(lost.any(0), lost.argmax(0), len(steps) - 1)
    schedule = log_schedule(runs[0].budget, observe_every)
    return [
        Result(
            run,
            *_ended(lost=bool(lost[end[lane], lane]), unmoved=bool(trajectory.unmoved[lane])),
            steps=int(steps[end[lane]]),
            initial_gap=float(gaps[0, lane]),
            final_gap=float(gaps[end[lane], lane]),
            hits=hits(steps, gaps[: end[lane] + 1, lane], targets),
            traces=traces(trajectory, lane, int(end[lane]), schedule),
            seconds_per_step=seconds_per_step,
            state_bytes=state_bytes,
        )
        for lane, run in enumerate(runs)
    ]


def _ended(*, lost: bool, unmoved: bool) -> tuple[Status, str | None]:
    """Return the status of a run and its text, if it has one."""
    if lost:
        return Status.DIVERGED, None
    return (Status.UNMOVED, NEVER_MOVED) if unmoved else (Status.OK, None)


def hits(steps: np.ndarray, gaps: np.ndarray, targets: Sequence[float]) -> tuple[int | None, ...]:
    """For each relative gap the first observed step at or below it; None where there is none."""
    # An objective that falls to -inf has diverged: it has reached nothing.
    gaps = np.where(np.isfinite(gaps), gaps, np.nan)
    with np.errstate(invalid="ignore"):
        # The running minimum falls, so that a bisection finds the first step below a target.
        falling = np.fmin.accumulate(gaps) / gaps[0] if gaps[0] > 0 else np.full(len(gaps), np.nan)
    found: list[int | None] = []
    for target in targets:
        first = int(np.searchsorted(-falling, -target, side="left"))
        reached = first < len(falling) and falling[first] <= target
        found.append(int(steps[first]) if reached else None)
    return tuple(found)


def traces(trajectory: Trajectory, lane: int, end: int, schedule: np.ndarray) -> dict[str, Trace]:
    """Return the gap and the metrics of a lane at the logged steps, up to its end."""
    last = trajectory.steps[end]
    # What was known at a scheduled step: the last observation at or before it. Where an
    # optimizer takes several evaluations a step, that is not the scheduled step itself.
    index = np.searchsorted(trajectory.steps[: end + 1], schedule[schedule <= last], "right") - 1
    index = np.unique(np.append(index, end))
    kept = {"gap": _trace(trajectory.steps[index], trajectory.gaps[index, lane])}
    upto = trajectory.logged <= last
    for name, values in trajectory.metrics.items():
        kept[name] = _trace(trajectory.logged[upto], values[upto, lane])
    return kept


def _trace(steps: np.ndarray, values: np.ndarray) -> Trace:
    with np.errstate(over="ignore"):
        return Trace(steps.astype(np.int32), values.astype(np.float32))
