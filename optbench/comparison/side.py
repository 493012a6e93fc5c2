"""The half of a comparison that runs in a side's own process: one request after another."""

from __future__ import annotations

import enum
import inspect
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from optbench.comparison import training
from optbench.comparison.imports import Importer
from optbench.comparison.memory_probe import weigh
from optbench.comparison.requests import (
    Averages,
    Count,
    Failure,
    Find,
    FindSchedulers,
    Found,
    GoOn,
    Hold,
    Kept,
    Meet,
    Observe,
    Perform,
    Prepare,
    Request,
    Save,
    SteppedScheduler,
    StepScheduler,
    Time,
    Train,
    Weigh,
)
from optbench.conformance.contract import choose
from optbench.engine.as_found import shared_by_all, torch_as_found
from optbench.engine.bench import Bench, with_all_rows
from optbench.engine.certify import fastest_route
from optbench.engine.compiling import note_requests, requests, uncompiled
from optbench.engine.error_text import describe
from optbench.optimizers import Optimizer
from optbench.process.channel import serve_requests
from optbench.process.worker import in_a_worker
from optbench.registry import NotAdoptable, UnknownName
from optbench.scenarios import schedulers
from optbench.scenarios.catalogue import Description
from optbench.scenarios.counted_work import work_by_function
from optbench.scenarios.handling import observe
from optbench.scenarios.introspect import NotConstructible, introspect
from optbench.scenarios.outcomes import CheckFailed, NotApplicable
from optbench.scenarios.perform import averages, go_on, perform, save
from optbench.scenarios.record import Checkpoint, Record
from optbench.scenarios.subject import Subject
from optbench.sources import Tree
from optbench.sources.closure import digest, looked_at
from optbench.verdicts.comparison import StepWork


def serve(pipe: Connection, trail: str, tree: Tree, compiled: bool) -> None:
    """Answer requests about the optimizers of a tree, until the coordinator closes the pipe."""
    with in_a_worker(trail):
        note_requests()
        side = Side(tree, compiled)

        def answer(request: Request, begun: Callable[[], None]) -> tuple[Any, bool]:
            before = shared_by_all()
            content = side.answer(request)
            # What a package patches when it is imported, it always patches.
            return content, shared_by_all() != before and not isinstance(request, Find)

        serve_requests(pipe, answer)


class Side:
    """One version of some optimizers, and what was found out about them."""

    def __init__(self, tree: Tree, compiled: bool = False) -> None:
        self.tree, self.compiled = tree, compiled
        self.imports = Importer(tree)
        self._met: dict[str, Subject] = {}
        self._rows: dict[str, Optimizer] = {}
        self._bench: Bench | None = None

    def answer(self, request: Request) -> Any:
        """Answer a request, or return a `Failure`; never raise."""
        handlers: dict[type, Callable[[Any], Any]] = {
            Find: self._find,
            FindSchedulers: self._find_schedulers,
            StepScheduler: self._step_scheduler,
            Meet: self._meet,
            Perform: self._perform,
            Observe: self._observe,
            Averages: self._averages,
            Save: self._save,
            GoOn: self._go_on,
            Hold: self._hold,
            Train: self._train,
            Prepare: self._prepare,
            Time: self._time,
            Count: self._count,
            Weigh: self._weigh,
        }
        try:
            # What is trained and timed is what a user runs; the maths does without a compiler.
            as_used = self.compiled or isinstance(request, Train | Prepare | Time | Weigh)
            with torch_as_found(), uncompiled(unless=as_used):
                return handlers[type(request)](request)
        except (UnknownName, NotAdoptable, NotConstructible) as error:
            return Failure("refused", str(error.args[0]))
        # An optimizer is anybody's code; Ctrl-C does not come here.
        except BaseException as error:  # noqa: BLE001
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{os.path.relpath(frames[-1].filename, self.tree.path)}:{frames[-1].lineno}"
            return Failure("raised", _in_a_line(error), where)

    def _find(self, request: Find) -> Found:
        if not request.patterns:
            found, refused = self.imports.exported()
            return Found(tuple(found), tuple(refused), str(torch.__version__))
        targets: list[str] = []
        refusals: list[tuple[str, str]] = []
        everything: list[str] | None = None
        broken: list[tuple[str, str]] = []
        for pattern in request.patterns:
            try:
                if ":" in pattern:
                    targets += self.imports.classes(pattern)
                    continue
                if everything is None:
                    everything, broken = self.imports.exported()
                targets += by_name(pattern, everything)
            except (UnknownName, NotAdoptable) as error:
                # Where modules did not import, it may well have been in one of those.
                reasons = [f"{name} does not import: {text}" for name, text in broken]
                refusals.append((pattern, "; ".join((str(error.args[0]), *reasons[:3]))))
        return Found(tuple(dict.fromkeys(targets)), tuple(refusals), str(torch.__version__))

    def _find_schedulers(self, request: FindSchedulers) -> Found:
        found, refused = self.imports.schedulers(request.modules)
        return Found(tuple(found), tuple(refused), str(torch.__version__))

    def _step_scheduler(self, request: StepScheduler) -> SteppedScheduler:
        cls = self.imports.attribute(request.target)
        scheduler = schedulers.TriedScheduler(cls, settings=request.settings)
        record = Record(np.zeros((1, 1)), schedulers.observe_scheduler(scheduler))
        return SteppedScheduler(scheduler.settings, record)

    def _meet(self, request: Meet) -> Description:
        cls = self.imports.attribute(request.target)
        subject = introspect(cls, settings=dict(request.settings), steps=INTROSPECTION_STEPS)
        subject.name = request.target
        self._met[request.target] = subject
        offers = tuple(
            name
            for name in ("foreach", "fused")
            if subject.takes(name) and subject.accepts({name: True})
        )
        values = subject.hyperparameters
        return Description(
            hyperparameters={name: value for name, value in values.items() if _travels(value)},
            accepted=tuple(each for each in _settings(subject) if _travels(each)),
            offers=offers,
            wants=subject.wants,
            trainable=subject.row is not None
            and "lr" in subject.row.defaults
            and subject.lr is not None
            and not subject.wants.graph,
            code="" if self.tree.python else digest(self.tree.path, cls.__module__),
            opaque={name: _kind(value) for name, value in values.items() if not _travels(value)},
            open_ended=_takes_anything(subject),
            uncompiled=bool(requests()) and not self.compiled,
            files=frozenset() if self.tree.python else looked_at(self.tree.path, cls.__module__),
        )

    def _perform(self, request: Perform) -> Record:
        return perform(self._fed(request), request.scenario)

    def _observe(self, request: Observe) -> Record:
        subject = self._met[request.target]
        given = replace(subject, settings={**subject.settings, **request.settings})
        return Record(np.zeros((1, 1)), observe(given))

    def _averages(self, request: Averages) -> Any:
        return averages(self._met[request.target], request.scenario)

    def _save(self, request: Save) -> Checkpoint:
        return save(self._fed(request), request.scenario)

    def _go_on(self, request: GoOn) -> Record:
        return go_on(self._fed(request), request.scenario, request.checkpoint)

    def _fed(self, request: Perform | Save | GoOn) -> Subject:
        return replace(self._met[request.target], wants=request.wants)

    def _hold(self, request: Hold) -> Kept:
        (check,) = choose([request.promise], ())
        try:
            check.function(self._met[request.target])
        except NotApplicable as error:
            return Kept(None, str(error))
        except CheckFailed as error:
            return Kept(False, str(error).partition("\n")[0])
        return Kept(True)

    def _train(self, request: Train) -> Any:
        if request.target not in self._rows:
            row = self._met[request.target].row
            assert row is not None
            self._rows[request.target] = fastest_route(row)
        return training.train(self._rows[request.target], request)

    def _prepare(self, request: Prepare) -> float:
        return self._made(request).first

    def _made(self, request: Prepare | Count) -> Bench:
        self._bench = None  # first, so that two never stand in memory at once
        subject = self._met[request.target]
        self._bench = Bench(
            subject.make,
            request.shapes,
            sparse=with_all_rows if subject.wants.sparse else None,
            closure=subject.wants.closure,
            before_step=subject.before_step,
        )
        return self._bench

    def _count(self, request: Count) -> StepWork | Failure:
        if requests():
            return Failure("refused", "it calls torch.compile")
        return StepWork(*work_by_function(self._made(request)))

    def _time(self, request: Time) -> float:
        assert self._bench is not None
        return self._bench.time(request.steps)

    def _weigh(self, request: Weigh) -> Any:
        return weigh(self._met[request.target], compiled=request.compiled)


def by_name(pattern: str, targets: list[str]) -> list[str]:
    """Targets by the bare name of their class: ``Adam``, ``*W``.

    Raises
    ------
    UnknownName
    """
    import difflib
    from fnmatch import fnmatchcase

    names = {target: target.partition(":")[2] for target in targets}
    fitting = [target for target, name in names.items() if fnmatchcase(name, pattern)]
    if fitting:
        return fitting
    near = difflib.get_close_matches(pattern, names.values(), n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UnknownName(f"no optimizer {pattern!r} here{hint} (or package.module:Class)")


INTROSPECTION_STEPS = 10
"""Steps after which an optimizer is taken to be fed as it wants: some ask for a graph only then."""

LONGEST = 300
"""Characters of an exception that are told: some list every backend there is."""


def _in_a_line(error: BaseException) -> str:
    first = describe(error.with_traceback(None)).partition("\n")[0]
    return first if len(first) <= LONGEST else f"{first[:LONGEST]} ..."


def _settings(subject: Subject) -> list[Mapping[str, Any]]:
    """Return settings to try: each hyperparameter changed, decay with momentum, all at once."""
    found = list(subject.variants)
    numbers = [each for each in found if len(each) == 1]
    first = {name: value for each in reversed(numbers) for name, value in each.items()}
    everything = {n: v for n, v in first.items() if not isinstance(v, bool) and n != "lr"}
    for together in ({"weight_decay": 0.1, "momentum": 0.9}, everything):
        if len(together) > 1 and all(map(subject.takes, together)) and subject.accepts(together):
            found.append(together)
    return found


def _takes_anything(subject: Subject) -> bool:
    parameters = inspect.signature(subject.factory).parameters.values()
    return any(each.kind is each.VAR_KEYWORD for each in parameters)


def _kind(value: Any) -> str:
    """Describe a default value in a word that is the same in every process."""
    if isinstance(value, enum.Enum):
        return str(value)
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _travels(value: Any) -> bool:
    """Whether a value is plain, and so the same on the other side."""
    if isinstance(value, dict):
        return all(map(_travels, value.values()))
    if isinstance(value, tuple | list):
        return type(value) in (tuple, list) and all(map(_travels, value))
    return value is None or type(value) in (bool, int, float, str)
