"""asv's benchmark of the engine: what a step costs in a lane, by what it costs in a plain loop."""

from __future__ import annotations

import torch

from optbench.analysis.units import TIMES_PLAIN
from optbench.asv.interleaved_timing import turns
from optbench.asv.plain_loop import CASES, Contest, case
from optbench.asv.samples import Samples, samples


class Lanes:
    """A lane's step by the step of the loop that a person would write, in turns."""

    params = (tuple(CASES),)
    param_names = ("problem",)
    version = "1"
    timeout = 600.0

    def setup(self, problem: str) -> None:
        """Load the data and warm up both."""
        torch.set_num_threads(1)
        which = case(problem)
        self.contest = Contest(which, which.lanes)

    def track_lane_ratio(self, *_: object) -> Samples:
        """Below one by as much as stacking lanes saves."""
        return samples(turns(self.contest.engine, self.contest.by_hand, rounds=8))

    track_lane_ratio.unit = TIMES_PLAIN  # type: ignore[attr-defined]
