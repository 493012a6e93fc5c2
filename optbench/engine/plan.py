"""From what is asked for to the runs that it takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator

from optbench.engine.ranks import backend_of, own_device
from optbench.engine.runs import Run, frozen
from optbench.engine.trial import Needs
from optbench.errors import OptbenchError
from optbench.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, WrongHyperparameter
from optbench.optimizers.of_the_run import DDP, told_to_the_factory
from optbench.optimizers.schedules import LR_SCHEDULE
from optbench.plain_text import on_a_line, shown
from optbench.problems import PROBLEMS, Problem

MOST_SEEDS = 100_000

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Selection(BaseModel):
    """Which runs are wanted: every optimizer on every problem, at these settings and seeds.

    Attributes
    ----------
    optimizers, problems : tuple of str
        Names, globs, or ``package.module:Name``.
    rates : "default", "tuned" or tuple of float
        The default settings alone; those and the whole search space; or these learning rates.
    thin : int
        Take every n-th value of each axis of the search space.
    settings : mapping
        Hyperparameters on top of the defaults.
    schedules : tuple of str
        Names or globs: besides these settings, the same ones with each of these schedules of the
        learning rate. Those are no default settings.
    ddp : int or None
        Among so many processes each gradient is divided; None: one computes it all. Those are no
        default settings.
    seeds : tuple of int
        Of starts and data.
    budget : int or None
        Gradient evaluations; None: each problem's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizers: tuple[str, ...] = ("*",)
    problems: tuple[str, ...] = ("*",)
    rates: Literal["default", "tuned"] | tuple[float, ...] = "default"
    thin: int = Field(1, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    schedules: tuple[str, ...] = ()
    ddp: int | None = Field(None, ge=2)
    seeds: tuple[Seed, ...] = Field((0, 1, 2, 3), min_length=1)
    budget: int | None = Field(None, ge=1, le=10**9)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(seeds)))


class NoSuchDevice(OptbenchError, ValueError):
    """A device that is not here; the text says why."""


class NothingToRun(OptbenchError, ValueError):
    """A selection without a single run; the text says why."""


@dataclass(frozen=True)
class Plan:
    """Runs, each once, and the pairs that were left out with the reason."""

    runs: tuple[Run, ...]
    not_applicable: Mapping[tuple[str, str], str] = field(default_factory=dict)


NEEDS = {
    "matrices": "no parameter of it is a matrix",
    "only matrices": "not every parameter of it is a matrix",
    "sparse": "its gradients are not sparse",
    "create_graph": "it wants gradients of backward(create_graph=True), which a run does not give",
    "parts": "its loss cannot be divided among processes",
}


def plan(
    selections: Iterable[Selection],
    *,
    dtype: str = "float32",
    device: str = "cpu",
    elsewhere: bool = False,
    try_out: Callable[[str, Mapping[str, Any]], Needs | None] | None = None,
) -> Plan:
    """Expand selections into runs.

    Parameters
    ----------
    selections : iterable of Selection
        What is wanted.
    dtype, device : str
        Of all runs, in torch's words.
    elsewhere : bool
        The device is one of other machines; each of them says whether it has it.
    try_out : callable or None
        Finds out what a class that is named by its path needs of a run, from its name and settings
        (`optbench.engine.trial.tried_apart`). Without it such a class is taken to need nothing.

    Raises
    ------
    UnknownName, NotAdoptable
        A name that is in no catalogue or no optimizer.
    WrongHyperparameter
        A setting that an optimizer does not take, or a value that it refuses; a schedule that
        cannot set its learning rate.
    NothingToRun
        Where no optimizer can run on any problem.
    NoSuchDevice
        A device, or as many as ``ddp`` takes, is not here.
    """
    if not elsewhere:
        check_device(device)
    device = device_name(device)
    runs: dict[Run, None] = {}
    left_out: dict[tuple[str, str], str] = {}
    chosen = _chosen(selections)
    _require_taken(chosen)
    for selection, optimizers, problems in chosen:
        for optimizer in optimizers:
            if optimizer.adopted and try_out is not None:
                settings = optimizer.settings(selection.settings)
                needs = try_out(optimizer.name, told_to_the_factory(settings))
                optimizer = needs.of(optimizer) if needs is not None else optimizer
            accepted: dict[tuple[tuple[str, Any], ...], None] = {}
            for problem in problems:
                missing = optimizer.needs - problem.traits
                if missing:
                    reason = ", ".join(NEEDS.get(m, f"it has no {m}") for m in sorted(missing))
                    left_out[optimizer.name, problem.name] = reason
                    continue
                for settings, default in choices(optimizer, problem, selection):
                    hyperparameters = _hashable(optimizer, settings)
                    if hyperparameters not in accepted:
                        optimizer.settings(settings)
                        accepted[hyperparameters] = None
                    if DDP in settings:
                        if not elsewhere:
                            check_processes(settings[DDP], device)
                        undivided = _undivided(optimizer, problem, settings[DDP])
                        if undivided:
                            left_out[optimizer.name, problem.name] = undivided
                            continue
                    for seed in selection.seeds:
                        run = Run(
                            optimizer.name,
                            hyperparameters,
                            problem.name,
                            problem.version,
                            problem.data,
                            seed,
                            selection.budget or problem.budget,
                            dtype,
                            device,
                            default,
                        )
                        runs.setdefault(run)
    if not runs:
        reasons = [f"{o} on {p}: {why}" for (o, p), why in left_out.items()]
        raise NothingToRun("nothing to run: " + "; ".join(reasons[:3]))
    return Plan(tuple(runs), left_out)


def count(selections: Iterable[Selection]) -> int:
    """Count the runs in the `plan` of selections, without trying a setting out.

    It differs only where a class that is named by its path turns out to need something of a run.
    """
    seeds: dict[tuple[Any, ...], set[int]] = {}
    for selection, optimizers, problems in _chosen(selections):
        for optimizer, problem in itertools.product(optimizers, problems):
            if not optimizer.needs <= problem.traits:
                continue
            budget = selection.budget or problem.budget
            for settings, _ in choices(optimizer, problem, selection):
                if DDP in settings and _undivided(optimizer, problem, settings[DDP]):
                    continue
                of = optimizer.name, _hashable(optimizer, settings), problem.name, budget
                seeds.setdefault(of, set()).update(selection.seeds)
    return sum(map(len, seeds.values()))


def _chosen(
    selections: Iterable[Selection],
) -> list[tuple[Selection, list[Optimizer], list[Problem]]]:
    """Resolve the names in selections to optimizers and problems."""
    return [
        (each, OPTIMIZERS.select(*each.optimizers), PROBLEMS.select(*each.problems))
        for each in selections
    ]


def _require_taken(chosen: Sequence[tuple[Selection, list[Optimizer], list[Problem]]]) -> None:
    """Name all at once that do not take what is set; of one by itself its own settings say more."""
    lacking: dict[str, dict[str, None]] = {}
    for selection, optimizers, problems in chosen:
        names = dict.fromkeys(told_to_the_factory(selection.settings))
        names |= {"lr": None} if isinstance(selection.rates, tuple) else {}
        for optimizer in optimizers:
            if any(optimizer.needs <= problem.traits for problem in problems):
                for name in optimizer.not_taken(names):
                    lacking.setdefault(optimizer.name, {})[name] = None
    if len(lacking) < 2:
        return
    alike: dict[tuple[str, ...], list[str]] = {}
    for optimizer_name, missing in lacking.items():
        alike.setdefault(tuple(missing), []).append(optimizer_name)
    whose = "; ".join(
        f"{', '.join(those)} take{'s' * (len(those) == 1)} no hyperparameter "
        + " or ".join(map(shown, missing))
        for missing, those in alike.items()
    )
    raise WrongHyperparameter(
        f"{whose} (every optimizer of a command is given what is set: run those in another)"
    )


def choices(
    optimizer: Optimizer, problem: Problem, selection: Selection
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Return the settings to run on a problem, each with whether it is the default."""
    yield from _rates(optimizer, problem, selection)
    for schedule in SCHEDULES.select(*selection.schedules) if selection.schedules else ():
        for settings, _ in _rates(optimizer, problem, selection):
            yield {**settings, LR_SCHEDULE: schedule.name}, False


def _rates(
    optimizer: Optimizer, problem: Problem, selection: Selection
) -> Iterator[tuple[dict[str, Any], bool]]:
    # What has to be given is nobody's choice: a wrapper's base, say.
    demanded = {k: v for k, v in selection.settings.items() if k in optimizer.required}
    default = {**optimizer.defaults, **fixed_by(problem, optimizer), **demanded}
    base = {**default, **selection.settings}
    if selection.ddp is not None:
        base[DDP] = selection.ddp
    if type(base.get("lr")) is int:  # 1 and 1.0 are one rate, and one run
        base["lr"] = float(base["lr"]) if abs(base["lr"]) < 2**1000 else math.inf
    if isinstance(selection.rates, tuple):
        for lr in selection.rates:
            chosen = {**base, "lr": lr}
            yield chosen, frozen(chosen) == frozen(default)
        return
    yield base, frozen(base) == frozen(default)
    if selection.rates == "tuned":
        axes = {k: v[:: selection.thin] for k, v in optimizer.space.items()
                if k not in selection.settings}  # fmt: skip
        for values in itertools.product(*axes.values()):
            chosen = {**base, **dict(zip(axes, values, strict=True))}
            if frozen(chosen) != frozen(base):
                yield chosen, frozen(chosen) == frozen(default)


def _hashable(optimizer: Optimizer, settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return settings as a run holds them."""
    found = frozen(settings)
    try:
        hash(found)
    except TypeError as error:
        raise WrongHyperparameter(
            f"{optimizer.name}: a hyperparameter is a number, a text, or a tuple of such, and not "
            f"all are of {shown(dict(found))}"
        ) from error
    return found


def fixed_by(problem: Problem, optimizer: Optimizer) -> dict[str, Any]:
    """Return the hyperparameters that the problem fixes, if the optimizer takes them all."""
    takes = set(optimizer.hyperparameters)
    return dict(problem.settings) if takes >= set(problem.settings) else {}


def _undivided(optimizer: Optimizer, problem: Problem, world: int) -> str | None:
    """Why a gradient is not divided among so many processes; None where it is."""
    if optimizer.closure:
        return "it asks for the loss itself, of which a process knows its part only"
    if "parts" not in problem.traits:
        return NEEDS["parts"]
    if world > problem.samples:
        return f"its loss has {problem.samples} parts, too few for {world} processes"
    return None


def device_name(device: str) -> str:
    """Return the canonical name of a device: ``cuda`` is ``cuda:0``, ``cpu:0`` is ``cpu``.

    >>> device_name("cuda"), device_name("cuda:1"), device_name("cpu:0")
    ('cuda:0', 'cuda:1', 'cpu')
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise NoSuchDevice(f"{shown(device)} is not a device: give cpu, cuda or cuda:1") from error
    return "cpu" if found.type == "cpu" else f"{found.type}:{found.index or 0}"


def check_processes(world: int, device: str) -> None:
    """Refuse data-parallel runs where the processes could not talk, or have no GPU each.

    Raises
    ------
    NoSuchDevice
        With the reason.
    """
    first = torch.device(device)
    backend = backend_of(first)
    if not torch.distributed.is_available() or not torch.distributed.is_backend_available(backend):
        raise NoSuchDevice(f"data-parallel runs on {first.type} need {backend}, which is not here")
    last = own_device(first, world - 1)
    if first.type == "cuda" and last.index >= torch.cuda.device_count():
        raise NoSuchDevice(
            f"{world} processes on {first} take the GPUs up to {last}, and there are "
            f"{torch.cuda.device_count()}"
        )


def check_workers_find(runs: Iterable[Run]) -> None:
    """Refuse runs of what was registered in this process alone.

    Raises
    ------
    NotAdoptable
        With what makes other processes find it.
    """
    for run in runs:
        OPTIMIZERS.require_elsewhere(run.optimizer)
        PROBLEMS.require_elsewhere(run.problem)
        SCHEDULES.require_elsewhere(run.settings.get(LR_SCHEDULE, ""))


def check_device(device: str) -> None:
    """Refuse a device that is not here.

    Raises
    ------
    NoSuchDevice
        With torch's reason.
    """
    try:
        if torch.device(device).type not in ("cpu", "cuda"):
            raise NoSuchDevice(f"{shown(device)} is not a device: give cpu, cuda or cuda:1")
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = on_a_line(str(error).splitlines()[0])
        raise NoSuchDevice(f"device {shown(device)} is not available here: {reason}") from error


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from ``8`` (the first eight), ``3,5,8`` or ``10-19``.

    >>> parse_seeds("3")
    (0, 1, 2)
    >>> parse_seeds("1,4-6")
    (1, 4, 5, 6)
    """
    pieces = []
    try:
        if text.strip().isdigit():
            pieces.append(range(int(text)))
        else:
            for part in text.split(","):
                first, _, last = part.strip().partition("-")
                pieces.append(range(int(first), int(last or first) + 1))
    except ValueError:
        pieces = []
    # Counted before they are made: a mistyped range may hold more than the memory.
    count = sum(max(0, piece.stop - piece.start) for piece in pieces)
    if not count:
        raise ValueError(
            f"seeds are a count (8), a list (3,5,8) or a range (10-19), not {shown(text)}"
        )
    if count > MOST_SEEDS:
        many = f"{count:,}" if count < 10**18 else shown(text)
        raise ValueError(f"{many} seeds are more than {MOST_SEEDS:,}")
    return tuple(sorted(set(itertools.chain(*pieces))))
