"""What is found out about an optimizer before the first check, and how it is led along."""

from __future__ import annotations

import abc
import itertools
import math
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.conformance.contract import choose
from optbench.conformance.examiner import require
from optbench.engine.as_found import torch_as_found
from optbench.engine.lanes import one_thread
from optbench.optimizers import OPTIMIZERS, Optimizer, Route
from optbench.registry import NotAdoptable, UnknownName
from optbench.scenarios.gradients import (
    MATRICES,
    MIXED,
    GradientSequence,
    sequence,
    shrinking,
    tiny,
)
from optbench.scenarios.introspect import NotConstructible, introspect, members
from optbench.scenarios.outcomes import NotApplicable
from optbench.scenarios.perturb import nearby_values, perturbations
from optbench.scenarios.session import Session
from optbench.scenarios.subject import Requirements, Subject, problems_for


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As a check runs: the threads of small tensors wait for each other."""
    with torch_as_found(), one_thread():
        yield


class Plain(torch.optim.Optimizer):
    """Gradient descent."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if closure is not None:
            with torch.enable_grad():
                closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, group["lr"])

    def update(self, p: torch.Tensor, lr: float) -> None:
        assert p.grad is not None
        p.sub_(lr * p.grad)


class WantsAClosure(Plain):
    def step(self, closure: Any) -> Any:
        loss = closure()
        super().step()
        return loss


class WantsAGraph(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        assert p.grad is not None
        if p.grad.grad_fn is None:
            raise RuntimeError("backward with create_graph=True, please")
        super().update(p, lr)


class WantsAGraphAndAClosure(WantsAGraph):
    def step(self, closure: Any) -> Any:
        loss = closure()
        super().step()
        return loss


class WantsMatrices(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        if p.ndim != 2:
            raise ValueError("matrices only")
        super().update(p, lr)


class WantsSparse(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        assert p.grad is not None
        if not p.grad.is_sparse:
            raise RuntimeError("sparse gradients only")
        super().update(p, lr)


class NeedsTwo(Plain):
    def __init__(self, params: Any, lr: float, rho: float, total: int) -> None:
        super().__init__(params, lr * rho / total)


class NeedsARate(Plain):
    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr)


class HasNoRate(Plain):
    def __init__(self, params: Any, size: float = 0.1) -> None:
        super().__init__(params, size)


class Draws(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        super().update(p, lr * float(1 + torch.rand(())))


class DrawsFromItsOwn(Plain):
    def __init__(self, params: Any, lr: float = 0.1, seed: int = 0) -> None:
        super().__init__(params, lr)


class RefusesToBeMade(Plain):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        raise RuntimeError("not today \x1b[31m")


class LeavesWhenMade(Plain):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        sys.exit("goodbye")


class FailsAtStepTwo(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        self.state[p]["step"] = self.state[p].get("step", 0) + 1
        if self.state[p]["step"] == 2:
            raise ZeroDivisionError("at the second step")


class LeavesAtTheStep(Plain):
    def update(self, p: torch.Tensor, lr: float) -> None:
        sys.exit("goodbye")


class IsSomethingElse(Plain):
    def __new__(cls, *_: Any, **__: Any) -> Any:
        return [1, 2]


class Abstract(Plain, abc.ABC):
    @abc.abstractmethod
    def rule(self) -> None: ...


def a_row(**changes: Any) -> Optimizer:
    given = {"defaults": {"lr": 0.5}, "space": {}, "route": Route.INSTANCE, "cite": ""}
    return Optimizer(**{"name": "a-row", "factory": Plain, **given, **changes})


# ---------------------------------------------------------------------- how it is fed


@pytest.mark.parametrize(
    ("target", "wants", "said"),
    [
        (Plain, Requirements(), ""),
        (WantsAClosure, Requirements(closure=True), "a closure"),
        (WantsSparse, Requirements(sparse=True), "sparse gradients"),
        (WantsAGraph, Requirements(graph=True), "backward(create_graph=True)"),
        (
            WantsAGraphAndAClosure,
            Requirements(closure=True, graph=True),
            "a closure, backward(create_graph=True)",
        ),
        (WantsMatrices, Requirements(matrices=True), "matrices only"),
        ("torch.optim:LBFGS", Requirements(closure=True), "a closure"),
        ("torch.optim:SparseAdam", Requirements(sparse=True), "sparse gradients"),
        pytest.param(
            "torch.optim:Muon",
            Requirements(matrices=True),
            "matrices only",
            marks=pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="an older torch"),
        ),
        ("adam", Requirements(), ""),
    ],
)
def test_how_it_wants_to_be_fed_is_found_by_trying(
    target: Any, wants: Requirements, said: str
) -> None:
    subject = introspect(target)
    assert subject.wants == wants
    assert str(wants) == said
    assert subject.shapes == (MATRICES if wants.matrices else MIXED)
    row = subject.row
    assert row is not None
    assert (row.closure, row.sparse_gradients) == (wants.closure, wants.sparse)
    assert ("only matrices" in row.needs) is wants.matrices
    assert ("sparse" in row.needs) is wants.sparse


@pytest.mark.parametrize("base", [WantsMatrices, WantsAGraph])
def test_a_closure_that_is_never_called_is_not_what_it_wants(base: type[Plain]) -> None:
    class IgnoresTheClosure(base):  # type: ignore[misc, valid-type]
        def step(self, closure: Any = None) -> Any:
            return super().step()

    assert not introspect(IgnoresTheClosure).wants.closure


def test_one_that_always_raises_and_ignores_the_closure_is_not_constructible() -> None:
    class Raises(Plain):
        def step(self, closure: Any = None) -> Any:
            return super().step()

        def update(self, p: torch.Tensor, lr: float) -> None:
            raise ZeroDivisionError

    with pytest.raises(NotConstructible):
        introspect(Raises)


def test_problems_are_those_that_it_can_take() -> None:
    names = ["quadratic", "matrix-completion"]
    assert problems_for(introspect(Plain), names) == names
    with pytest.raises(NotApplicable, match="quadratic have other parameters"):
        problems_for(introspect(WantsMatrices), ["quadratic"])
    with pytest.raises(NotApplicable, match="needs second derivatives"):
        problems_for(introspect(WantsAGraph), names)
    assert problems_for(introspect(HasNoRate), names) == names


# ---------------------------------------------------------------------- how it is made


def test_what_its_constructor_needs_is_named_and_can_be_given() -> None:
    with pytest.raises(
        NotConstructible,
        match=r"^its constructor needs rho, total: --set rho=... --set total=..., or a row$",
    ):
        introspect(NeedsTwo)
    with pytest.raises(NotConstructible, match=r"^its constructor needs total: "):
        introspect(NeedsTwo, settings={"rho": 0.5})
    subject = introspect(NeedsTwo, settings={"rho": 0.5, "total": 10})
    assert subject.hyperparameters == {"lr": 1e-3, "rho": 0.5, "total": 10}
    assert subject.row is not None
    assert subject.row.defaults == {"lr": 1e-3, "rho": 0.5, "total": 10}
    assert not subject.takes("betas")


def test_a_required_rate_is_given() -> None:
    subject = introspect(NeedsARate)
    assert (subject.lr, subject.settings) == (1e-3, {"lr": 1e-3})
    assert introspect(NeedsARate, settings={"lr": 0.25}).lr == 0.25


def test_one_without_a_rate_runs_at_its_constructors_settings() -> None:
    subject = introspect(HasNoRate)
    assert subject.lr is None
    assert subject.row is not None
    assert (subject.row.defaults, subject.row.space) == ({}, {})
    assert subject.hyperparameters == {"size": 0.1}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (RefusesToBeMade, r"^RuntimeError: not today, at .*\.py:\d+$"),
        (LeavesWhenMade, r"^SystemExit: goodbye \(it calls exit\), at .*\.py:\d+$"),
        (
            FailsAtStepTwo,
            r"^cannot take a step: ZeroDivisionError: at the second step, at .*\.py:\d+$",
        ),
        (
            LeavesAtTheStep,
            r"^cannot take a step: SystemExit: goodbye \(it calls exit\), at .*\.py:\d+$",
        ),
        (IsSomethingElse, r"IsSomethingElse makes a list, not a torch.optim.Optimizer$"),
    ],
)
def test_one_that_cannot_be_used_says_why(target: type[Plain], reason: str) -> None:
    with pytest.raises(NotConstructible, match=reason):
        introspect(target)


def test_settings_that_it_refuses_are_said() -> None:
    with pytest.raises(NotConstructible, match="unexpected keyword argument 'rho'"):
        introspect(Plain, settings={"rho": 1})
    with pytest.raises(NotConstructible, match="Invalid learning rate: -1"):
        introspect("torch.optim:SGD", settings={"lr": -1.0})


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("adm", UnknownName, "did you mean 'adam'"),
        ("no_such_module:Adam", UnknownName, "No module named 'no_such_module'"),
        ("torch.optim:Adm", UnknownName, "did you mean 'Adam'"),
        ("torch.optim:Optimizer", NotAdoptable, "the base class of all optimizers"),
        (torch.optim.Optimizer, NotAdoptable, "the base class of all optimizers"),
        ("math:sqrt", NotAdoptable, "'math:sqrt' is the function sqrt, not a"),
        (
            dict,
            NotAdoptable,
            "'builtins:dict' is the class dict, not a torch.optim.Optimizer class",
        ),
        (7, NotAdoptable, "is an int"),
    ],
)
def test_what_is_no_optimizer_is_refused(target: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        introspect(target)
    assert text in str(caught.value.args[0])


def test_names_rows_classes_and_paths_lead_to_the_same_optimizer() -> None:
    by_name, by_class = introspect("adam"), introspect(torch.optim.Adam)
    by_path, by_row = introspect("torch.optim:Adam"), introspect(OPTIMIZERS["adam"])
    factories = {s.factory for s in (by_name, by_class, by_path, by_row)}
    assert factories == {torch.optim.Adam}
    oracles = {s.oracle.name for s in (by_name, by_class, by_path, by_row) if s.oracle}
    assert oracles == {"textbook-adam"}
    assert (by_name.name, by_path.name, by_row.name) == ("adam", "torch.optim:Adam", "adam")
    assert by_class.name == "torch.optim.adam:Adam"
    assert by_name.settings == dict(OPTIMIZERS["adam"].defaults)
    assert by_class.settings == {}


def test_a_row_says_its_oracle_and_whether_it_is_random() -> None:
    subject = introspect(a_row(oracle="textbook-sgd", stochastic=True))
    assert subject.oracle is OPTIMIZERS["textbook-sgd"]
    assert subject.draws == "its row declares it stochastic"
    assert subject.lr == 0.5
    assert introspect(a_row()).oracle is None
    # A subclass may have another rule.
    assert introspect(type("Mine", (torch.optim.SGD,), {})).oracle is None


def test_a_reference_is_looked_up() -> None:
    assert introspect(Plain, reference="textbook-sgd").reference is OPTIMIZERS["textbook-sgd"]
    with pytest.raises(UnknownName, match="did you mean 'textbook-sgd'"):
        introspect(Plain, reference="textbook-sgdd")


# ---------------------------------------------------------------------- who is in a module


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with all sorts of names."""
    made = ModuleType("a_module_of_optimizers")
    vars(made).update(
        Optimizer=torch.optim.Optimizer,
        Beta=WantsAClosure,
        Alpha=Plain,
        Zeta=Plain,
        Abstract=Abstract,
        _Hidden=WantsMatrices,
        number=3,
        function=len,
        instance=Plain([torch.nn.Parameter(torch.ones(1))]),
        Module=torch.nn.Linear,
        Row=a_row(),
    )
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_a_module_s_members_are_its_public_concrete_classes_once(module: ModuleType) -> None:
    assert members("a_module_of_optimizers:*") == [
        "a_module_of_optimizers:Alpha",
        "a_module_of_optimizers:Beta",
    ]


def test_what_a_module_exports_is_what_counts(module: ModuleType) -> None:
    module.__all__ = ["Beta", "Zeta", "Nothing", "number"]
    assert members("a_module_of_optimizers:*") == [
        "a_module_of_optimizers:Beta",
        "a_module_of_optimizers:Zeta",
    ]


def test_a_module_without_an_optimizer_is_refused(module: ModuleType) -> None:
    module.__all__ = ["Optimizer", "Abstract"]
    with pytest.raises(NotAdoptable, match="'a_module_of_optimizers' exports no"):
        members("a_module_of_optimizers:*")
    with pytest.raises(UnknownName, match="No module named 'no_such_module'"):
        members("no_such_module:*")


def test_members_of_names_and_of_single_targets() -> None:
    assert members("sgd") == ["sgd"]
    assert members("whatever:it is") == ["whatever:it is"]
    assert {"adam", "adamw"} <= set(members("adam*"))
    assert "torch.optim:Adam" in members("torch.optim:*")
    assert "torch.optim:Optimizer" not in members("torch.optim:*")
    with pytest.raises(UnknownName, match="no optimizer fits the pattern 'zz"):
        members("zz*")


# ---------------------------------------------------------------------- what it is like


@pytest.mark.parametrize(
    ("target", "elementwise", "couples", "draws"),
    [
        (Plain, True, False, ""),
        ("torch.optim:SGD", True, False, ""),
        ("torch.optim:Adam", True, False, ""),
        ("torch.optim:Rprop", True, False, ""),
        ("torch.optim:Adafactor", False, False, ""),
        ("muon", False, False, ""),
        ("torch.optim:LBFGS", False, True, ""),
        (DrawsFromItsOwn, True, False, "it takes a seed"),
        (Draws, True, False, "it draws from torch's global generator"),
    ],
)
def test_its_nature_is_found_by_trying(
    target: Any, elementwise: bool, couples: bool, draws: str
) -> None:
    subject = introspect(target)
    assert (subject.elementwise, subject.couples_tensors) == (elementwise, couples)
    assert subject.draws == draws


def test_hyperparameters_are_what_the_rule_depends_on() -> None:
    subject = introspect("torch.optim:Adam", settings={"lr": torch.tensor(0.25)})
    found = subject.hyperparameters
    assert found["lr"] == 0.25
    assert isinstance(found["lr"], float)
    assert found["betas"] == (0.9, 0.999)
    assert not {"foreach", "fused", "capturable", "differentiable", "params"} & set(found)
    tried = {name for name, _ in perturbations(subject.hyperparameters)}
    assert tried == {"lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"} | (
        {"decoupled_weight_decay"} & set(found)
    )


NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-100, 10**6),
    st.floats(allow_nan=False, allow_subnormal=False, min_value=-1e100, max_value=1e100),
)
NAMES = st.sampled_from(["lr", "eps", "betas", "momentum", "weight_decay", "k"])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    name=NAMES,
    value=st.one_of(
        NUMBERS,
        st.lists(NUMBERS, min_size=1, max_size=3).map(tuple),
        st.lists(NUMBERS, min_size=1, max_size=3),
    ),
)
def test_neighbours_are_others_of_the_same_kind(name: str, value: Any) -> None:
    found = list(nearby_values(name, value))
    assert found
    for other in found:
        assert other != value
        if isinstance(value, tuple | list):
            assert type(other) is type(value)
            assert len(other) == len(value)
            # One at a time.
            assert sum(a != b for a, b in zip(value, other, strict=True)) == 1
        elif isinstance(value, bool) or (isinstance(value, int) and name != "lr"):
            assert type(other) is type(value)
        else:
            assert isinstance(other, float)
            assert math.isfinite(other)


@pytest.mark.parametrize("value", [None, "text", (), [], {}, object()])
def test_what_is_no_number_has_no_neighbours(value: Any) -> None:
    assert list(nearby_values("mode", value)) == []


@pytest.mark.parametrize("value", [0.9, 0.999, 0.51, 0.6, 0.61])
def test_a_fraction_stays_one(value: float) -> None:
    assert all(0 < other < 1 for other in nearby_values("betas[0]", value))


# ---------------------------------------------------------------------- what it is led along


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    shapes=st.lists(
        st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
    ).map(tuple),
    steps=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_a_course_is_its_seed(shapes: tuple[tuple[int, ...], ...], steps: int, seed: int) -> None:
    once = sequence(shapes, steps, seed=seed)
    sequence.cache_clear()
    again, other = sequence(shapes, steps, seed=seed), sequence(shapes, steps, seed=seed + 1)
    assert once.shapes == again.shapes == shapes
    assert once.length == steps
    for index, shape in enumerate(shapes):
        mine, same, its = (each.gradients[index] for each in (once, again, other))
        assert mine is not None
        assert mine.shape == (steps, *shape)
        assert np.array_equal(mine, same)  # type: ignore[arg-type]
        assert np.array_equal(once.starts[index], again.starts[index])
        assert not np.array_equal(mine, its)  # type: ignore[arg-type]


def test_a_shrinking_course_shrinks_by_four_decades_and_a_tiny_one_is() -> None:
    gradients = shrinking(((4000,),), 5).gradients[0]
    assert gradients is not None
    assert gradients.std(1) == pytest.approx(np.geomspace(1, 1e-4, 5), rel=0.1)
    small = tiny(((4000,),), 5).gradients[0]
    assert small is not None
    assert small.std(1) == pytest.approx(np.geomspace(1e-6, 1e-8, 5), rel=0.1)


def test_parts_and_changes_of_a_course() -> None:
    whole = sequence(MIXED, 6)
    order = [2, 0]
    part = whole.select(order)
    assert part.shapes == tuple(MIXED[i] for i in order)
    for ours, i in zip(part.gradients, order, strict=True):
        assert ours is whole.gradients[i]
    doubled, without = whole.times(-2.0), whole.with_gradient(1, None)
    for i, gradient in enumerate(whole.gradients):
        assert gradient is not None
        assert np.array_equal(doubled.gradients[i], -2.0 * gradient)  # type: ignore[arg-type]
        assert without.gradients[i] is (None if i == 1 else gradient)
    assert without.length == 6
    assert without.times(3.0).gradients[1] is None
    assert without.tensors(1, torch.float64, torch.device("cpu")) == [None] * 6
    given = whole.tensors(0, torch.float32, torch.device("cpu"))
    assert len(given) == 6
    assert {(g.dtype, tuple(g.shape)) for g in given if g is not None} == {(torch.float32, (5, 3))}


# ---------------------------------------------------------------------- at work


def subject_of(factory: Any) -> Subject:
    return Subject(factory.__name__, factory)


@pytest.mark.parametrize("factory", [torch.optim.Adam, Draws])
def test_two_sessions_that_take_turns_go_as_two_apart(factory: Any) -> None:
    subject, along = subject_of(factory), sequence(MIXED, 20)
    before = torch.get_rng_state()
    apart = Session(subject, along).trace(20)
    one, other = Session(subject, along), Session(subject, along.times(2.0))
    turns = [(one.trace(1), other.trace(1)) for _ in range(20)]
    assert torch.equal(torch.cat([turn[0] for turn in turns]), apart)
    assert torch.equal(torch.cat([t[1] for t in turns]), Session(subject, along.times(2)).trace(20))
    assert not torch.equal(turns[-1][0], turns[-1][1])
    # Nor does any of it reach the generator that everybody shares.
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("factory", [torch.optim.Adam, Draws])
def test_who_looks_on_the_way_sees_what_who_does_not_does(factory: Any) -> None:
    subject, along = subject_of(factory), sequence(MIXED, 20)
    before = torch.get_rng_state()
    apart = Session(subject, along).trace(20)
    watched = Session(subject, along)
    with watched.at_the_generators():
        seen = [watched.advance(1).position() for _ in range(10)]
    assert torch.equal(torch.get_rng_state(), before)
    # And goes on from where it was.
    seen += [watched.advance(1).position() for _ in range(10)]
    assert torch.equal(torch.stack(seen), apart)
    assert torch.equal(torch.get_rng_state(), before)


class DrawsFromNumPy(torch.optim.SGD):
    """A normal number a step: NumPy makes two at once, and keeps the other."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = abs(np.random.randn())  # noqa: NPY002
        return super().step(closure)


@pytest.mark.parametrize("kept", [0, 1], ids=["between pairs", "within a pair"])
@pytest.mark.parametrize("factory", [torch.optim.Adam, DrawsFromNumPy])
def test_numpy_s_generator_is_lent_with_the_number_that_it_keeps(factory: Any, kept: int) -> None:
    subject, along = subject_of(factory), sequence(MIXED, 9)
    with torch_as_found():
        np.random.seed(3)  # noqa: NPY002
        np.random.randn(kept)  # noqa: NPY002
        before = np.random.get_state()  # noqa: NPY002
        apart = Session(subject, along).trace(9)
        one, other = Session(subject, along), Session(subject, along)
        turns = [(one.trace(1), other.trace(1)) for _ in range(9)]
        assert repr(np.random.get_state()) == repr(before)  # noqa: NPY002
        drawn = np.random.randn(3)  # noqa: NPY002
        np.random.set_state(before)  # noqa: NPY002
        assert np.array_equal(np.random.randn(3), drawn)  # noqa: NPY002
    for session in zip(*turns, strict=True):
        assert torch.equal(torch.cat(session), apart)


def test_a_session_does_not_depend_on_torch_s_generator() -> None:
    along = sequence(MIXED, 5)
    with torch_as_found():
        first = Session(subject_of(Draws), along).trace(5)
        torch.manual_seed(7)
        assert torch.equal(Session(subject_of(Draws), along).trace(5), first)


def test_the_gradients_begin_again_after_the_last() -> None:
    along = sequence(((2,),), 3)
    session = Session(subject_of(Plain), along)
    moves = torch.diff(session.trace(7), dim=0, prepend=torch.tensor(along.starts[0])[None])
    gradients = torch.tensor(along.gradients[0])
    for step, move in enumerate(moves):
        assert torch.allclose(move, -0.1 * gradients[step % 3], rtol=1e-12, atol=0)


@pytest.mark.parametrize("factory", [WantsAClosure, WantsAGraphAndAClosure])
def test_a_closure_gives_the_gradient_of_the_loss_that_it_returns(factory: type[Plain]) -> None:
    session = Session(introspect(factory), sequence(MIXED, 4)).advance(2)
    session.closure()
    gradients = [p.grad.detach().clone() for p in session.params if p.grad is not None]
    assert len(gradients) == len(MIXED)
    for p, gradient in zip(session.params, gradients, strict=True):
        values = []
        for shift in (1e-5, -2e-5):
            with torch.no_grad():
                p.view(-1)[1] += shift
            values.append(float(session.closure().detach()))
        with torch.no_grad():
            p.view(-1)[1] += 1e-5
        # Of a quadratic the central difference is exact.
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(gradient.view(-1)[1]), 1e-6)
    assert session.closure_calls == 2 + 1 + 2 * len(MIXED)


def test_evaluations_are_spent_and_not_steps() -> None:
    session = Session(introspect("torch.optim:LBFGS"), sequence(MIXED, 4)).spend(50)
    assert session.closure_calls >= 50
    assert session.step < 50
    assert Session(subject_of(Plain), sequence(MIXED, 4)).spend(50).step == 50


@pytest.mark.parametrize("factory", [torch.optim.Adam, torch.optim.SGD, Draws])
def test_a_session_goes_on_where_its_checkpoint_was_taken(factory: Any) -> None:
    session = Session(subject_of(factory), sequence(MIXED, 30), {"lr": 0.05}).advance(10)
    fresh = session.resumed()
    assert fresh.optimizer is not session.optimizer
    assert all(a is not b for a, b in zip(fresh.params, session.params, strict=True))
    at = session.position()
    ours = fresh.trace(10)
    # Who goes on alone does not move the other.
    assert torch.equal(session.position(), at)
    assert torch.equal(ours, session.trace(10))


def test_a_checkpoint_goes_through_weights_only() -> None:
    class Odd(Plain):
        def update(self, p: torch.Tensor, lr: float) -> None:
            super().update(p, lr)
            self.state[p]["sequence"] = GradientSequence((), ())

    session = Session(subject_of(Odd), sequence(MIXED, 4)).advance(1)
    with pytest.raises(Exception, match="Weights only load failed"):
        session.resumed()


def test_a_copy_goes_its_own_way() -> None:
    session = Session(subject_of(torch.optim.Adam), sequence(MIXED, 30)).advance(5)
    at = session.position()
    twin = session.copied()
    twin.advance(5)
    assert torch.equal(session.position(), at)
    assert torch.equal(twin.position(), session.advance(5).position())


def test_what_a_step_does_to_a_gradient_stays_in_its_session() -> None:
    class Zeroes(Plain):
        def update(self, p: torch.Tensor, lr: float) -> None:
            super().update(p, lr)
            assert p.grad is not None
            p.grad.zero_()

    along = sequence(MIXED, 3)
    Session(subject_of(Zeroes), along).advance(3)
    assert all(g is not None and g.any() for g in along.gradients)


def test_sparse_gradients_miss_rows_whatever_their_order_sign_and_scale() -> None:
    subject = introspect(WantsSparse)
    along = sequence(((40, 2),), 1)

    def rows(each: GradientSequence) -> list[int]:
        session = Session(subject, each)
        session.give_gradients()
        grad = session.params[0].grad
        assert grad is not None
        assert grad.is_sparse
        return grad.to_dense().abs().sum(1).nonzero().flatten().tolist()

    kept = rows(along)
    assert 8 < len(kept) < 35
    assert rows(along.times(-4.0)) == kept
    gradient = along.gradients[0]
    assert gradient is not None
    backwards = rows(along.with_gradient(0, gradient[:, ::-1].copy()))
    assert sorted(39 - i for i in backwards) == kept


def test_types_can_be_mixed() -> None:
    dtypes = (torch.bfloat16, torch.float32, torch.float64, torch.float32)
    session = Session(subject_of(Plain), sequence(MIXED, 4), dtype=dtypes).advance(2)
    assert tuple(p.dtype for p in session.params) == dtypes
    with pytest.raises(ValueError, match="zip"):
        Session(subject_of(Plain), sequence(MIXED, 4), dtype=dtypes[:2])


def test_groups_are_made_of_the_parameters() -> None:
    groups = Session(
        subject_of(Plain),
        sequence(MIXED, 4),
        groups=lambda p: [{"params": p[:1], "lr": 0.5}, {"params": p[1:]}],
    ).optimizer.param_groups
    assert [g["lr"] for g in groups] == [0.5, 0.1]
    assert [len(g["params"]) for g in groups] == [1, 3]
    assert len(set(map(id, itertools.chain(*(g["params"] for g in groups))))) == 4


@pytest.mark.parametrize(
    ("check", "applies"),
    [
        ("saves_and_loads_at_step_301", True),
        ("deepcopies_and_pickles", True),
        ("a_gradient_scaler_does_not_matter", False),
        ("zero_redundancy_is_the_joint_batch", False),
    ],
)
def test_a_hook_goes_on_where_it_was_and_is_asked_for_nothing_that_it_cannot_see(
    check: str, applies: bool
) -> None:
    subject = introspect("odd_constructors:Curved")
    (promise,) = choose([check])
    if applies:
        require(subject, promise)
        return
    with pytest.raises(NotApplicable, match="its hook"):
        require(subject, promise)
