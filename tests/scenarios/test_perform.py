"""From a scenario to a record: that each word of one does what it says."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import one_thread
from optbench.scenarios.actions import ACTIONS, STEPS_OF_THE_OTHER
from optbench.scenarios.catalogue import DEFAULTS, Description, plan
from optbench.scenarios.feeds import FEEDS, LARGEST_NORM
from optbench.scenarios.gradients import EDITS, GRADIENTS, MIXED, GradientSequence, steady
from optbench.scenarios.introspect import introspect
from optbench.scenarios.layouts import LAYOUTS
from optbench.scenarios.perform import (
    CLOSURE_STEPS,
    OBSERVED_STEPS,
    averages,
    go_on,
    gradients_of,
    perform,
    save,
)
from optbench.scenarios.record import Observation, Record, disagreements
from optbench.scenarios.relations import CONVOLUTIONS
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.scenario import Event, OwnValue, Scenario
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Subject

RATE = 0.5
"""A power of two, so that the difference of two positions is a gradient but for rounding."""

STEPS = 12

PLAIN = Scenario("x", "steady", steps=STEPS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with torch_as_found(), one_thread():
        yield


class Descent(torch.optim.Optimizer):
    """Gradient descent that notes what it meets: of each step the instance and the gradients."""

    seen: list[tuple[int, list[Tensor | None]]]

    def __init__(self, params: Any, lr: float = RATE, unused: float = 0.25) -> None:
        super().__init__(params, {"lr": lr, "unused": unused})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        met: list[Tensor | None] = []
        for group in self.param_groups:
            for p in group["params"]:
                met.append(p.grad)
                if p.grad is not None:
                    self.update(p, group)
        self.seen.append((id(self), met))
        return loss

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        assert p.grad is not None
        p.sub_(group["lr"] * p.grad)


@pytest.fixture
def descent() -> Subject:
    return noting(Descent)


def noting(factory: type[Descent]) -> Subject:
    factory.seen = []
    return Subject(factory.__name__, factory)


def seen_by(subject: Subject) -> list[tuple[int, list[Tensor | None]]]:
    factory: Any = subject.factory
    noted: list[tuple[int, list[Tensor | None]]] = factory.seen
    return noted


def moves(record: Record) -> np.ndarray:
    """The gradients that gradient descent went by."""
    return -np.diff(record.path, axis=0) / RATE


def flat(gradients: GradientSequence) -> np.ndarray:
    """All gradients, [steps, elements]; zero where there is none."""
    return np.concatenate(
        [
            np.zeros((gradients.length, start.size))
            if each is None
            else each.reshape(len(each), -1)
            for start, each in zip(gradients.starts, gradients.gradients, strict=True)
        ],
        axis=1,
    )


# Starts and gradients.

SCALES = {
    "steady": (1.0, 1.0), "shrinking": (1.0, 1e-4), "tiny": (1e-6, 1e-8), "small": (3e-3, 3e-4),
    "complex": (2**0.5, 2**0.5), "real view": (1.0, 1.0), "huge": (1e7, 1e9),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_have_the_scale_that_they_say(name: str) -> None:
    (gradient,) = GRADIENTS[name](((4000,),), 5).gradients
    assert gradient is not None
    assert tuple(gradient.std(axis=1).reshape(5, -1)[[0, -1]].mean(1)) == pytest.approx(
        SCALES[name], rel=0.1
    )


def test_a_real_view_is_that_of_the_complex_one(descent: Subject) -> None:
    scenario = replace(PLAIN, gradients="complex", dtype="complex128")
    real = replace(PLAIN, gradients="real view")
    records = [perform(descent, each) for each in (scenario, real)]
    assert records[0].path.shape == (1 + STEPS, 2 * sum(map(np.prod, MIXED)))
    assert np.array_equal(records[0].path, records[1].path)


def _rows_alike(g: np.ndarray) -> bool:
    matrix = g[:, :15].reshape(len(g), 5, 3)
    return bool((matrix == matrix[:, :1]).all() and not (matrix == matrix[:, :, :1]).all())


EDITED: dict[str, Callable[[np.ndarray, np.ndarray, GradientSequence], bool]] = {
    "zeros first": lambda _, g, __: [*g.any(1)] == 3 * [False] + 3 * [True] + 3 * [False] + 3 * [
        True
    ],
    "holes": lambda _, g, __: all(
        not row[:15][step % 3 :: 3].any() and row[:15][(step + 1) % 3 :: 3].all()
        for step, row in enumerate(g)
    ),
    "one zero": lambda p, g, _: not g[:, [0, 15, 36, 42]].any() and (p == g).sum() == 53 * STEPS,
    "none small": lambda p, g, _: np.abs(g).min() == 0.5
    and np.array_equal(np.sign(p), np.sign(g))
    and np.array_equal(p[np.abs(p) > 0.5], g[np.abs(p) > 0.5]),
    "row means": lambda _, g, __: _rows_alike(g),
    "a NaN": lambda p, g, _: np.isnan(g).sum() == 4
    and [*np.isnan(g).any(1).nonzero()[0]] == [7]
    and np.array_equal(p[:7], g[:7]),
    "second missing": lambda p, g, s: s.gradients[1] is None
    and not g[:, 15:36].any()
    and np.array_equal(p[:, :15], g[:, :15]),
    "coming and going": lambda _, __, s: s.present is not None
    and not s.present.all(0).any()
    and all(
        (s.present[:, a] & ~s.present[:, b]).any() for a, b in itertools.permutations(range(4), 2)
    ),
    "negated": lambda p, g, s: np.array_equal(p, -g)
    and np.array_equal(s.starts[0], -steady(MIXED, STEPS).starts[0]),
    "with empty": lambda p, g, s: [start.size for start in s.starts][::2] == [0] * 5
    and np.array_equal(p, g),
    "near zero": lambda p, g, s: np.array_equal(p, g)
    and all((abs(start) < 0.01).all() and start.any() for start in s.starts),
    "above one": lambda p, g, s: np.array_equal(p, g)
    and all(((start >= 1.25) & (start <= 1.75)).all() for start in s.starts),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_does_what_its_name_says(name: str) -> None:
    # No two tensors are without a gradient at the same steps: that takes some.
    plain = steady(MIXED, 60 if name == "coming and going" else STEPS)
    before = flat(plain).copy()
    edited = EDITS[name](plain)
    assert EDITED[name](before, flat(edited), edited)
    assert np.array_equal(before, flat(plain)), "the plain ones, which others meet, are edited"


def test_edits_apply_in_turn_and_gradients_are_what_is_met(descent: Subject) -> None:
    scenario = replace(PLAIN, edits=("coming and going", "one zero"))
    record = perform(descent, scenario)
    gradients = gradients_of(descent, scenario)
    assert gradients.present is not None
    per_element = np.repeat(gradients.present, [15, 21, 6, 15], axis=1)
    expected = np.where(per_element, flat(gradients), 0.0)
    assert not per_element.all()
    assert moves(record) == pytest.approx(expected, abs=1e-12)
    assert [
        [g is not None for g in met] for _, met in seen_by(descent)
    ] == gradients.present.tolist()


# What is built.


@pytest.mark.parametrize("scenario", [
    *plan(*[Description({}, (), (), Requirements(), trainable=True, code="")] * 2),
], ids=lambda each: each.name)  # fmt: skip
def test_a_record_repeats_and_has_a_row_a_step(scenario: Scenario) -> None:
    if "sparse" in scenario.name or scenario.feed in ("uncoalesced", "sometimes empty"):
        subject = introspect("torch.optim:SGD", settings={"momentum": 0.0})
    else:
        # An eps of 1e-8 is none in float16.
        subject = introspect("torch.optim:Adam", settings={"eps": 1e-4})
    record = perform(subject, scenario)
    steps = min(CLOSURE_STEPS, scenario.steps) if scenario.feed == "closure" else scenario.steps
    assert len(record.path) == 1 + steps
    assert record.path.dtype == np.float64
    # Each tensor's last element is NaN from then on, and no other one is.
    assert np.isfinite(record.path).all() or "a NaN" in scenario.edits
    assert np.isnan(record.path[-1]).sum() == (len(MIXED) if "a NaN" in scenario.edits else 0)
    assert not np.array_equal(record.path[0], record.path[-1])
    if scenario.steps > OBSERVED_STEPS:
        return
    again = perform(subject, scenario)
    assert np.array_equal(record.path, again.path, equal_nan=True)
    assert not [*disagreements(record, again, 0.0)]


def test_settings_groups_types_and_shapes_are_given(descent: Subject) -> None:
    scenario = Scenario(
        "x", "steady", steps=3, shapes=((2,), (3,), (4,)), dtype="float32",
        settings={"lr": OwnValue(0.5)}, second={"lr": OwnValue(2.0), "unused": 1.0},
    )  # fmt: skip
    record = perform(descent, scenario)
    plain = perform(descent, replace(scenario, settings={}, second=None))
    # Half of three is one; the second half goes by the doubled rate of the constructor's.
    factors = np.repeat([0.5, 2.0], [2, 7])
    assert moves(record) == pytest.approx(factors * moves(plain), rel=1e-4, abs=1e-6)
    assert {g.dtype for _, met in seen_by(descent) for g in met if g is not None} == {torch.float32}
    rates = [record.observations[f"lr of group {i}, as optimizer.param_groups has it"]
             for i in (0, 1)]  # fmt: skip
    assert rates == [(0.25,), (1.0,)]


def test_an_own_value_may_be_a_tensor_or_stand_for_another(descent: Subject) -> None:
    class Rates(Descent):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            assert torch.is_tensor(group["lr"])
            assert group["lr"].shape == (1,)
            super().update(p, group)

    scenario = replace(PLAIN, settings={"lr": OwnValue(3.0, tensor=(1,))})
    rate = perform(noting(Rates), scenario)
    number = perform(descent, replace(PLAIN, settings={"lr": 3 * RATE}))
    assert np.array_equal(rate.path, number.path)
    assert rate.observations["tensors given as hyperparameters"] == "as given"
    other = perform(descent, replace(PLAIN, settings={"lr": OwnValue(1.0, value=3 * RATE)}))
    assert np.array_equal(other.path, number.path)


# How gradients lie in memory, and how they come.


def _of_other_strides(p: Tensor, g: Tensor) -> bool:
    return p.is_contiguous() and not g.is_contiguous()


def _channels_last(t: Tensor) -> bool:
    return t.is_contiguous(memory_format=torch.channels_last) and not t.is_contiguous()


LAID: dict[str, Callable[[Tensor, Tensor], bool]] = {
    "": lambda p, g: p.is_contiguous() and g.is_contiguous(),
    "gradients of other strides": _of_other_strides,
    "expanded gradients": lambda p, g: p.is_contiguous() and g.stride(0) == 0,
    "transposed parameters": lambda p, g: not p.is_contiguous() and p.stride() == g.stride(),
    "channels_last": lambda p, g: _channels_last(p) and _channels_last(g),
    "channels_last parameters": lambda p, g: _channels_last(p) and g.is_contiguous(),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_another_one_of_the_same_numbers(name: str) -> None:
    class Looks(Descent):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            assert p.grad is not None
            # A vector has no layout of channels.
            if p.ndim == 4 or not name.startswith("channels_last"):
                laid.append(LAID[name](p, p.grad))
            super().update(p, group)

    laid: list[bool] = []
    edits = ("row means",) if name == "expanded gradients" else ()
    shapes = CONVOLUTIONS[:2] if name == "expanded gradients" else CONVOLUTIONS
    scenario = replace(PLAIN, shapes=shapes, edits=edits, layout=name)
    record = perform(noting(Looks), scenario)
    assert len(laid) >= 2 * STEPS
    assert all(laid)
    assert np.array_equal(record.path, perform(noting(Looks), replace(scenario, layout="")).path)


class Fed:
    """What gradient descent met with a feed, and what the GradScaler was called for."""

    def __init__(self, name: str, steps: int = STEPS) -> None:
        self.subject, self.calls = noting(Descent), []
        scaler: Any = torch.amp.GradScaler
        with pytest.MonkeyPatch.context() as here:
            for method in ("step", "unscale_"):
                here.setattr(scaler, method, self._noting(method, getattr(scaler, method)))
            self.record = perform(self.subject, replace(PLAIN, feed=name, steps=steps))
        self.met = [met for _, met in seen_by(self.subject)]

    def _noting(self, name: str, method: Any) -> Any:
        def noted(*given: Any) -> Any:
            self.calls.append(name)
            return method(*given)

        return noted

    @property
    def tensors(self) -> list[Tensor]:
        return [g for met in self.met for g in met if g is not None]

    def dense(self) -> np.ndarray:
        return np.stack([
            torch.cat([(g.to_dense() if g.is_sparse else g).reshape(-1)
                       for g in met if g is not None]).numpy()
            for met in self.met
        ])  # fmt: skip


GIVEN = flat(steady(MIXED, STEPS))


def _norms(fed: Fed) -> bool:
    norms, given = (np.linalg.norm(each, axis=1) for each in (fed.dense(), GIVEN))
    return bool((given > LARGEST_NORM).all()) and norms == pytest.approx(LARGEST_NORM, rel=1e-5)


def _as_given(fed: Fed) -> bool:
    return np.array_equal(fed.dense(), GIVEN)


UNSCALED_FIRST, UNSCALED_WITHIN = ["unscale_", "step"], ["step", "unscale_"]

FED: dict[str, Callable[[Fed], bool]] = {
    "gradients": lambda fed: _as_given(fed) and not fed.calls,
    "closure": lambda fed: (
        fed.record.observations["calls of the closure"] == tuple(range(1, 1 + STEPS))
        and bool(np.isfinite(fed.record.observations["the loss that step() returns"]).all())  # type: ignore[call-overload]
        and not _as_given(fed)
    ),
    "sparse": lambda fed: (
        all(g.is_sparse for g in fed.tensors)
        and 0.1 < (fed.dense() == GIVEN).mean() < 0.6
        and not fed.dense()[fed.dense() != GIVEN].any()
    ),
    "uncoalesced": lambda fed: (
        all(not g.is_coalesced() for g in fed.tensors if g._nnz() > 1)
        and np.array_equal(fed.dense(), Fed("sparse").dense())
    ),
    "sometimes empty": lambda fed: (
        [any(g is not None and g._nnz() for g in met) for met in fed.met]
        == [True, False, True] * (STEPS // 3)
    ),
    "clipped": lambda fed: _norms(fed) and not fed.calls,
    "GradScaler": lambda fed: _as_given(fed) and fed.calls == UNSCALED_WITHIN * STEPS,
    "GradScaler, sometimes infinite": lambda fed: (
        len(fed.met) == 10
        and np.array_equal(fed.dense(), np.delete(GIVEN, [2, 7], axis=0))
        and fed.calls == UNSCALED_WITHIN * STEPS
    ),
    "some steps left out": lambda fed: (
        np.array_equal(fed.dense(), np.delete(GIVEN, [2, 7], axis=0)) and not fed.calls
    ),
    "GradScaler, unscale_": lambda fed: _as_given(fed) and fed.calls == UNSCALED_FIRST * STEPS,
    "GradScaler, unscale_ now and then": lambda fed: (
        _as_given(fed) and fed.calls == (UNSCALED_FIRST + 2 * UNSCALED_WITHIN) * (STEPS // 3)
    ),
    "GradScaler, unscale_ and clipping": lambda fed: (
        _norms(fed) and fed.calls == UNSCALED_FIRST * STEPS
    ),
}


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_gives_what_its_name_says(name: str) -> None:
    assert FED[name](Fed(name))


# Events.


def with_event(action: str, values: Mapping[str, Any] | None = None, step: int = 5) -> Scenario:
    return replace(PLAIN, events=(Event(step, action, values or {}),))


def instances(subject: Subject) -> list[int]:
    """Of each step the instance that took it, counted from nought."""
    order: dict[int, int] = {}
    return [order.setdefault(each, len(order)) for each, _ in seen_by(subject)]


def factor_of_the_rate(record: Record, plain: Record) -> np.ndarray:
    ratios = moves(record) / moves(plain)
    assert ratios.std(axis=1).max() < 1e-6
    return np.round(ratios.mean(axis=1), 6)


def _saves(one: Subject, record: Record, plain: Record) -> None:
    assert instances(one) == [0] * 5 + [1] * 7
    assert np.array_equal(record.path, plain.path)


def _loads_in_process(one: Subject, record: Record, plain: Record) -> None:
    assert instances(one) == [0] * (5 + STEPS_OF_THE_OTHER) + [1] * 7
    assert np.array_equal(record.path, plain.path)


def _loads_without(one: Subject, record: Record, plain: Record) -> None:
    _saves(one, record, plain)
    name = "unused of group 0, as optimizer.param_groups has it"
    assert plain.observations[name] == (0.25,)
    assert record.observations[name] == (0.25, None)


class Counting(Descent):
    """Counts the steps of each parameter and group, in numbers and a tensor, and notes in which."""

    counters: ClassVar[list[Any]] = []
    counts: ClassVar[list[tuple[float, ...]]] = []

    def update(self, p: Tensor, group: dict[str, Any]) -> None:
        super().update(p, group)
        state = self.state[p]
        if not state:
            state.update(a_tensor=torch.zeros(()), a_number=0, not_a_counter=5.5)
        group.setdefault("count", 0)
        self.counts.append((float(state["a_tensor"]), state["a_number"], group["count"]))
        assert state["not_a_counter"] == 5.5
        self.counters.append((type(state["a_tensor"]), type(state["a_number"])))
        state["a_tensor"] = state["a_tensor"] + 1
        state["a_number"] = state["a_number"] + 1
        group["count"] += p is group["params"][-1]


def _loads_numbers(one: Subject, record: Record, plain: Record) -> None:
    _saves(one, record, plain)
    assert {*Counting.counters} == {(Tensor, int), (float, int)}


def _loads_tensors(one: Subject, record: Record, plain: Record) -> None:
    _saves(one, record, plain)
    assert {*Counting.counters} == {(Tensor, int), (Tensor, Tensor)}


def _loads_later(one: Subject, record: Record, plain: Record) -> None:
    _saves(one, record, plain)
    assert Counting.counts[:: len(one.shapes)] == [
        (step, step, step) for step in [*range(5), *range(70, 77)]
    ]


def _sets(_: Subject, record: Record, plain: Record) -> None:
    # "momentum" is none of its hyperparameters, and is not made one.
    assert "momentum of group 0, as optimizer.param_groups has it" not in record.observations
    assert factor_of_the_rate(record, plain) == pytest.approx([1] * 5 + [3] * 7)


def _scales(_: Subject, record: Record, plain: Record) -> None:
    assert factor_of_the_rate(record, plain) == pytest.approx([1] * 5 + [0.25] * 7)


def _adds(one: Subject, record: Record, plain: Record) -> None:
    assert [len(met) for _, met in seen_by(one)][:STEPS] == [1] * 5 + [4] * 7
    assert not moves(record)[:5, 15:].any()
    assert moves(record)[5:] == pytest.approx(moves(plain)[5:])
    assert moves(record)[:5, :15] == pytest.approx(moves(plain)[:5, :15])


def _cycles(_: Subject, record: Record, plain: Record) -> None:
    factors = factor_of_the_rate(record, plain)
    # Up to the largest rate, which is twice its own, and down again.
    assert (factors[:5] == 1).all()
    assert 1.9 < factors.max() <= 2.0
    assert 5 < factors.argmax() < 10
    assert factors[-1] < 0.5


def _switches(one: Subject, record: Record, plain: Record) -> None:
    factory: Any = one.factory
    assert factory.switched == ["eval", "eval", "train", "train"]
    assert np.array_equal(record.path, plain.path)


class Modes(Descent):
    """Has modes, and counts how often each is asked for after the fifth step."""

    switched: list[str]

    def train(self) -> None:
        self._note("train")

    def eval(self) -> None:
        self._note("eval")

    def _note(self, name: str) -> None:
        if len(self.seen) == 5:
            self.switched.append(name)


HAPPENS: dict[str, tuple[Mapping[str, Any], Callable[[Subject, Record, Record], None]]] = {
    "save and load": ({}, _saves),
    "load with numbers": ({}, _loads_numbers),
    "load with tensors": ({}, _loads_tensors),
    "load without": ({"hyperparameter": "unused"}, _loads_without),
    "load later": ({"steps": 70}, _loads_later),
    "load in process": ({}, _loads_in_process),
    "set": ({"lr": OwnValue(3.0), "momentum": 0.9}, _sets),
    "scale the rate": ({"by": 0.25}, _scales),
    "add a group": ({}, _adds),
    "OneCycleLR": ({"max_lr": OwnValue(2.0), "steps": 8}, _cycles),
    "eval and back": ({}, _switches),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_event_does_what_its_name_says(action: str) -> None:
    values, holds = HAPPENS[action]
    kinds = {
        "eval and back": Modes, "load with numbers": Counting, "load with tensors": Counting,
        "load later": Counting,
    }  # fmt: skip
    factory = kinds.get(action, Descent)
    Modes.switched = []
    plain = perform(noting(factory), PLAIN)
    Modes.switched, Counting.counters, Counting.counts = [], [], []
    subject = noting(factory)
    holds(subject, perform(subject, with_event(action, values)), plain)


def test_what_shares_memory_after_loading_is_seen() -> None:
    class Copies(torch.optim.SGD):
        def load_state_dict(self, state_dict: Any) -> None:
            super().load_state_dict(copy.deepcopy(state_dict))

    # torch's own ``load_state_dict`` keeps tensors whose type and device fit.
    for factory, shares in ((torch.optim.SGD, True), (Copies, False)):
        subject = introspect(factory, settings={"momentum": 0.9})
        loaded, plain = (perform(subject, each) for each in (with_event("load in process"), PLAIN))
        assert np.array_equal(loaded.path[:6], plain.path[:6])
        assert np.array_equal(loaded.path, plain.path) is not shares


def test_a_save_on_the_way_changes_nothing_for_who_saves_everything() -> None:
    adam = introspect("torch.optim:Adam")
    saved, plain = (perform(adam, each) for each in (with_event("save and load"), PLAIN))
    assert np.array_equal(saved.path, plain.path)


def test_who_goes_on_from_a_checkpoint_goes_as_the_one_that_was_saved() -> None:
    adam = introspect("torch.optim:Adam", settings={"lr": 0.05})
    whole = Session(adam, gradients_of(adam, PLAIN)).trace(2 * STEPS).numpy()
    resumed = go_on(adam, PLAIN, save(adam, PLAIN))
    assert np.array_equal(resumed.path, whole[STEPS - 1 :])


# What is observed beside the path.


def observed(factory: type[torch.optim.Optimizer], scenario: Scenario = PLAIN) -> Any:
    if issubclass(factory, Descent):
        factory.seen = []
    observations: Mapping[str, Observation] = perform(
        Subject(factory.__name__, factory), scenario
    ).observations
    return observations


def test_what_becomes_of_the_gradients_is_observed() -> None:
    class Writes(Descent):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            super().update(p, group)
            assert p.grad is not None
            if len(self.seen) == 7:
                p.grad.mul_(2)

    class Replaces(Descent):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            super().update(p, group)
            assert p.grad is not None
            p.grad = p.grad.clone()

    found = [observed(each)["p.grad after the step"] for each in (Descent, Writes, Replaces)]
    assert found == ["as given", "changed", "replaced"]


def test_what_the_step_returns_and_how_it_calls_the_closure_is_observed() -> None:
    class Twice(Descent):
        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            if closure is not None:
                closure()
            return super().step(closure)

    closure = replace(PLAIN, feed="closure")
    once, twice = observed(Descent, closure), observed(Twice, closure)
    assert once["calls of the closure"] == tuple(range(1, 13))
    assert twice["calls of the closure"] == tuple(range(2, 25, 2))
    without = "calls of the closure with gradients disabled"
    assert (once[without], twice[without]) == (0, STEPS)
    assert np.isfinite(once["the loss that step() returns"]).all()
    assert np.isnan(observed(Descent)["the loss that step() returns"]).all()


def test_tensors_that_are_given_and_written_to_are_observed() -> None:
    class Halves(Descent):
        def update(self, p: Tensor, group: dict[str, Any]) -> None:
            super().update(p, group)
            group["lr"].mul_(0.5)

    given = replace(PLAIN, settings={"lr": OwnValue(tensor=())})
    name = "tensors given as hyperparameters"
    assert observed(Descent, given)[name] == "as given"
    assert observed(Halves, given)[name] == "changed"
    assert name not in observed(Descent)


def test_the_weights_of_eval_mode_are_observed() -> None:
    class Averaged(Descent):
        def eval(self) -> None:
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["trained"] = p.clone()
                        p.zero_()

        def train(self) -> None:
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        if "trained" in self.state[p]:
                            p.copy_(self.state[p].pop("trained"))

    assert not observed(Averaged)["the weights in eval mode"].any()
    assert "the weights in eval mode" not in observed(Descent)


def test_the_mean_of_many_numbers_of_half_precision_is_observed() -> None:
    name = "mean magnitude of the parameters"
    large = replace(PLAIN, shapes=((64, 32),), dtype="bfloat16")
    assert observed(Descent, large)[name] > 0.5
    assert name not in observed(Descent, replace(large, dtype="float64"))


# Averages of the weights.


def test_averages_of_the_weights_are_found_and_nothing_else_is() -> None:
    class Shadowed(torch.optim.Adam):
        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            returned = super().step(closure)
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p].setdefault("shadow", torch.zeros_like(p)).lerp_(p, 0.1)
            return returned

    found = averages(introspect(Shadowed), DEFAULTS)
    assert [*found] == [f"shadow of tensor {i}" for i in range(len(MIXED))]
    assert [values.shape for values in found.values()] == [*MIXED]
    for target in ("torch.optim:Adam", "torch.optim:LBFGS"):
        assert averages(introspect(target), DEFAULTS) == {}
    # ASGD keeps one, ``ax``; a weight decay makes an average of gradients go along, too.
    decayed = replace(DEFAULTS, settings={})
    assert {n.split()[0] for n in averages(introspect("torch.optim:ASGD"), decayed)} == {"ax"}
    assert averages(introspect("torch.optim:SGD", settings={"momentum": 0.9}), decayed) == {}
