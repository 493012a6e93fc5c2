"""What a comparison of two versions concludes, as values: the JSON schema is read off them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2

RUNGS = ("maths", "convergence", "speed", "memory")
"""The questions of a comparison; each stands on the one before."""


class MathsVerdict(enum.StrEnum):
    """Is it the same trajectory?"""

    IDENTICAL = "identical"
    """Bit for bit, in every scenario."""
    ROUNDING = "rounding"
    """The same rule in another order: within 1e-9 times the distance travelled."""
    CHANGED = "changed"
    BROKEN = "broken"
    """The head raises, hangs or crashes where the base did not."""
    INCONCLUSIVE = "inconclusive"
    """The base does not repeat its own steps, so that nothing can be said about the head's."""


class ConvergenceVerdict(enum.StrEnum):
    """Are as many steps needed to the same targets?"""

    EQUIVALENT = "equivalent"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"


class SpeedVerdict(enum.StrEnum):
    """Does a step take the same time?"""

    SAME = "same"
    FASTER = "faster"
    SLOWER = "slower"
    INCONCLUSIVE = "inconclusive"


class MemoryVerdict(enum.StrEnum):
    """Does it hold as much?"""

    SAME = "same"
    LESS = "less"
    MORE = "more"
    LEAK = "leak"
    """The state grows with every step, and the base's did not."""


@dataclass(frozen=True)
class Difference:
    """The first scenario that tells two versions apart.

    Attributes
    ----------
    scenario : str
    step : int
        The first step after which they differ by more than rounding.
    relative : float
        The difference after that step, relative to the distance travelled so far.
    """

    scenario: str
    step: int
    relative: float


@dataclass(frozen=True)
class Maths:
    """Of the scenarios of one optimizer.

    Attributes
    ----------
    text : str
        The verdict in words: from which step on, and under what only.
    scenarios : int
        That were compared.
    differing : tuple of str
        The scenarios that differ by more than rounding, or break.
    at_defaults : bool
        Whether an ordinary use at the defaults is among them, and raises nothing.
    under : mapping
        Where it is not: hyperparameters under which it shows in ordinary use, if there are any.
    """

    verdict: MathsVerdict
    text: str = ""
    first: Difference | None = None
    scenarios: int = 0
    differing: tuple[str, ...] = ()
    at_defaults: bool = False
    under: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnProblem:
    """Steps to target on one problem in one league, head over base.

    Attributes
    ----------
    league : str
        ``default``: each side's own defaults; ``tuned``: each side's best learning rate; with
        the hyperparameters behind it that both are given.
    ratio, low, high : float or None
        Median over seeds of head steps over base steps, and its interval; infinite where the
        head does not arrive; None where neither side arrives often enough to tell.
    target : float or None
        Relative gap.
    seeds : int
        Pairs.
    won : int
        Seeds on which the head was there first.
    lr : tuple of float
        Of base and head.
    more_seeds : int or None
        That would settle an inconclusive one.
    """

    problem: str
    league: str
    verdict: ConvergenceVerdict
    ratio: float | None
    low: float | None
    high: float | None
    target: float | None
    seeds: int
    won: int
    lr: tuple[float, float]
    more_seeds: int | None = None
    text: str = ""


@dataclass(frozen=True)
class AtSize:
    """Time of a step over so many parameters, head over base.

    Attributes
    ----------
    parameters : int
        About: what the shapes were made for.
    seconds : tuple of float
        Medians of base and head.
    rounds : int
        Turns of base, head, head, base.
    shapes : str
        The model whose shapes the parameters have; empty: ten matrices of one shape.
    """

    parameters: int
    verdict: SpeedVerdict
    ratio: float
    low: float
    high: float
    seconds: tuple[float, float]
    rounds: int
    shapes: str = ""


@dataclass(frozen=True)
class InFunction:
    """Work that a function of the step asks for, base and head, a step."""

    function: str
    operations: tuple[float, float]
    bytes: tuple[float, float]
    calls: tuple[float, float]


@dataclass(frozen=True)
class StepWork:
    """Work of a step.

    Attributes
    ----------
    functions : mapping
        Names of functions to the tensor operations, bytes and Python calls that they ask for.
    digest : str
        Of the operations in their order.
    """

    functions: Mapping[str, tuple[float, float, float]]
    digest: str


@dataclass(frozen=True)
class Counted:
    """Work of a step, base and head, counted over the shapes of ResNet-18.

    Attributes
    ----------
    operations, bytes, calls : pairs
        Tensor operations, the bytes that they read, and Python calls.
    dearer : tuple of InFunction
        Functions that ask for more in the head, at most three, the largest increase first.
    decides : bool
        Whether the verdict on speed was decided by the counts, for lack of a clear time.
    """

    operations: tuple[float, float]
    bytes: tuple[float, float]
    calls: tuple[float, float]
    dearer: tuple[InFunction, ...] = ()
    decides: bool = False


@dataclass(frozen=True)
class Cost:
    """What a step costs, head over base.

    Attributes
    ----------
    step_ratio, low, high : float or None
        At the size that decides; None where nothing was timed.
    state_bytes_per_parameter, temporary_bytes_per_parameter, growth_bytes_per_step : pairs
        Of base and head.
    operations_after_loading : pair
        Tensor operations of a step after ``load_state_dict``, over those of one before it.
    sizes : tuple of AtSize
    counted : Counted or None
        None where the times are the same, or nothing was counted.
    text : str
        What decides, or why nothing was timed.
    compiled : str
        What torch.compile makes of a step, where it makes something else of the base's.
    """

    step_ratio: float | None = None
    low: float | None = None
    high: float | None = None
    state_bytes_per_parameter: tuple[float, float] | None = None
    temporary_bytes_per_parameter: tuple[float, float] | None = None
    growth_bytes_per_step: tuple[float, float] | None = None
    operations_after_loading: tuple[float, float] | None = None
    sizes: tuple[AtSize, ...] = ()
    text: str = ""
    counted: Counted | None = None
    compiled: str = ""


@dataclass(frozen=True)
class OptimizerComparison:
    """One optimizer: a verdict a rung, None for a rung that was not climbed.

    ``files`` are those that its code was read from; none where reading cannot tell.
    """

    name: str
    maths: Maths
    convergence: ConvergenceVerdict | None = None
    convergence_text: str = ""
    problems: tuple[OnProblem, ...] = ()
    speed: SpeedVerdict | None = None
    memory: MemoryVerdict | None = None
    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    files: frozenset[str] = frozenset()

    @property
    def findings(self) -> frozenset[str]:
        """Every word that ``--fail-on`` knows and that is true of it."""
        verdicts = (self.maths.verdict, self.convergence, self.speed, self.memory)
        return frozenset(v.value for v in verdicts if v is not None)

    def as_row(self) -> dict[str, Any]:
        """As in the JSON file."""
        first = self.maths.first
        return {
            "name": self.name,
            "maths": self.maths.verdict.value,
            "maths_text": self.maths.text,
            "scenarios": self.maths.scenarios,
            "first_difference": None if first is None else asdict(first),
            "differing_scenarios": list(self.maths.differing),
            "convergence": self.convergence and self.convergence.value,
            "convergence_text": self.convergence_text,
            "speed": self.speed and self.speed.value,
            "memory": self.memory and self.memory.value,
            "problems": [asdict(each) for each in self.problems],
            "cost": asdict(self.cost),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Refusal:
    """An optimizer, or a pattern, that could not be compared."""

    name: str
    reason: str


@dataclass(frozen=True)
class SideOfComparison:
    """Where a side came from."""

    source: str
    commit: str = ""
    note: str = ""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two versions of some optimizers.

    Attributes
    ----------
    rungs : tuple of str
        Of the ladder that was asked for.
    only_in_base, only_in_head : tuple of str
    not_constructible : tuple of Refusal
        Of either side or both, and the reason.
    environment : mapping
        The machine and the versions.
    complete : bool
        Whether it came to its end, and was not interrupted.
    """

    base: SideOfComparison
    head: SideOfComparison
    rungs: tuple[str, ...]
    optimizers: tuple[OptimizerComparison, ...]
    only_in_base: tuple[str, ...] = ()
    only_in_head: tuple[str, ...] = ()
    not_constructible: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    complete: bool = True

    def to_frame(self) -> pd.DataFrame:
        """Return a row an optimizer: the verdict of each rung, None where it was not asked for."""
        import pandas as pd

        columns = ["name", *RUNGS, "maths_text", "convergence_text", "cost_text"]
        rows = [{**each.as_row(), "cost_text": each.cost.text} for each in self.optimizers]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        count = len(self.optimizers)
        optimizers = f"{count} optimizer{'s' * (count != 1)}"
        ended = "" if self.complete else ", interrupted"
        return f"<Comparison of {optimizers}: {self.base.source} and {self.head.source}{ended}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        return f"<p>{escape(repr(self))}</p>{self.to_frame().to_html(index=False, max_rows=60)}"

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file that ``--json`` writes, infinities as floats."""
        return {
            "schema": SCHEMA,
            "base": asdict(self.base),
            "head": asdict(self.head),
            "rungs": list(self.rungs),
            "environment": dict(self.environment),
            "seconds": round(self.seconds, 2),
            "complete": self.complete,
            "optimizers": [each.as_row() for each in self.optimizers],
            "only_in_base": list(self.only_in_base),
            "only_in_head": list(self.only_in_head),
            "not_constructible": [asdict(each) for each in self.not_constructible],
            "notes": list(self.notes),
        }
