"""What a side can be asked, and what it answers: values that travel over its pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optbench.engine.model_shapes import Shapes
from optbench.scenarios.record import Record
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Find:
    """Which optimizers do these patterns stand for? Without any: all that are exported."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Targets, what could not be looked into (pattern or module, reason), and torch's version."""

    targets: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    torch: str = ""


@dataclass(frozen=True)
class Meet:
    """Construct an optimizer and describe it: a `catalogue.Description`."""

    target: str
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Perform:
    """Put an optimizer through a scenario: a `record.Record`."""

    target: str
    scenario: Scenario
    wants: Requirements


@dataclass(frozen=True)
class Observe:
    """What is observed outside of the steps: a `record.Record` of `handling.OBSERVATIONS`."""

    target: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class FindSchedulers:
    """Which scheduler classes do these modules define? A `Found`."""

    modules: tuple[str, ...]


@dataclass(frozen=True)
class StepScheduler:
    """Step a scheduler in each scenario: a `SteppedScheduler`.

    ``settings``: arguments of the constructor by a label; without, they are found by trying.
    """

    target: str
    settings: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class SteppedScheduler:
    """What was observed of a scheduler, and under which settings."""

    settings: Mapping[str, Mapping[str, Any]]
    record: Record


@dataclass(frozen=True)
class Averages:
    """Averages of the weights that the state holds, by their place in it."""

    target: str
    scenario: Scenario


@dataclass(frozen=True)
class Save:
    """Go through a scenario and save optimizer and parameters: a `perform.Checkpoint`.

    It is of bytes, so that the coordinator, which imports no torch, can pass it on.
    """

    target: str
    scenario: Scenario
    wants: Requirements


@dataclass(frozen=True)
class GoOn:
    """Load a checkpoint and go on along a scenario: a `record.Record`."""

    target: str
    scenario: Scenario
    wants: Requirements
    checkpoint: Any


@dataclass(frozen=True)
class Hold:
    """Does an optimizer keep this promise of the contract? A `Kept`."""

    target: str
    promise: str


@dataclass(frozen=True)
class Kept:
    """Of a promise: whether it is kept (None: it does not apply), and what broke."""

    kept: bool | None
    text: str = ""


@dataclass(frozen=True)
class Train:
    """Run an optimizer on a problem: a list of `Outcome`, one a lane.

    Attributes
    ----------
    settings, seeds :
        Of each lane; lanes of equal settings stand together.
    budget : int
        Gradient evaluations a lane.
    """

    target: str
    problem: str
    settings: tuple[Mapping[str, Any], ...]
    seeds: tuple[int, ...]
    budget: int


@dataclass(frozen=True)
class Outcome:
    """Of one lane: the first step that reached each target of the problem (None: censored)."""

    hits: tuple[int | None, ...]
    status: str
    error: str = ""


@dataclass(frozen=True)
class Prepare:
    """Make an optimizer over parameters of these shapes; gives seconds of a first step."""

    target: str
    shapes: Shapes


@dataclass(frozen=True)
class Time:
    """Time so many steps of what was prepared: seconds of the quickest."""

    steps: int


@dataclass(frozen=True)
class Count:
    """Count the work of steps over parameters of these shapes: a `verdicts.comparison.StepWork`."""

    target: str
    shapes: Shapes


@dataclass(frozen=True)
class Weigh:
    """State and temporaries of an optimizer: a `Memory`.

    ``compiled``: its graphs under torch.compile, too.
    """

    target: str
    compiled: bool = True


@dataclass(frozen=True)
class Memory:
    """What an optimizer holds, and the work that it does; all counted, nothing timed.

    Attributes
    ----------
    state_bytes : float
        Of the optimizer's tensors, for each parameter.
    temporary_bytes : float
        The most that a step allocates at once, for each parameter.
    growth_bytes : float
        By which everything alive grows with each step, after the first 150.
    operations : int
        Tensor operations of a step.
    operations_after_loading : int
        Of a step after ``load_state_dict``; 0 where it cannot be loaded.
    graphs : int or None
        Of a step under torch.compile, once all is compiled: 0 where it runs as it is written. None
        where that was not tried, or raises.
    recompiles : bool
        Whether a step after the third is compiled again, under a rate that is a tensor.
    breaks : tuple of str
        What torch.compile cannot put into a graph.
    """

    state_bytes: float
    temporary_bytes: float
    growth_bytes: float
    operations: int
    operations_after_loading: int
    graphs: int | None = None
    recompiles: bool = False
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """No answer to a request.

    Attributes
    ----------
    kind : str
        ``raised`` (the optimizer's exception), ``refused`` (there is no such optimizer),
        ``timeout`` or ``crashed``.
    text : str
    where : str
        The place in the code, where it is known; not part of what is compared.
    """

    kind: str
    text: str
    where: str = ""


Request = (
    Find
    | FindSchedulers
    | StepScheduler
    | Meet
    | Perform
    | Observe
    | Averages
    | Save
    | GoOn
    | Hold
    | Train
    | Prepare
    | Time
    | Count
    | Weigh
)
