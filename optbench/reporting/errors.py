"""What a report refuses, in words that say what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from optbench.errors import OptbenchError


class NothingToReport(OptbenchError, ValueError):
    """There is not one run."""

    def __init__(self) -> None:
        super().__init__(
            "there are no runs to report on; make some first, for example: "
            "optbench run --suite quick"
        )


class UnknownBaseline(OptbenchError, ValueError):
    """The baseline is not among the optimizers that were run."""

    def __init__(self, baseline: str, present: Iterable[str]) -> None:
        names = sorted(present)
        near = difflib.get_close_matches(baseline, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"the baseline {baseline!r} has no runs here{hint} "
            f"(--baseline takes one of: {', '.join(names)})"
        )


class NothingInBoth(OptbenchError, ValueError):
    """Two stores without a run in common."""

    def __init__(self, names: tuple[str, str]) -> None:
        super().__init__(
            f"{names[0]} and {names[1]} have no run in common: none of equal optimizer, settings, "
            "problem, version, data, budget, dtype and seed"
        )
