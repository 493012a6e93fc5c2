"""The rung of speed over two sides that are made up: which sizes, and what decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optbench.comparison import cost
from optbench.comparison.requests import Count, Failure, Prepare
from optbench.comparison.sides import Sides
from optbench.engine.model_shapes import Shapes
from optbench.scenarios.catalogue import Description
from optbench.scenarios.requirements import Requirements
from optbench.sources import Tree
from optbench.verdicts.comparison import Maths, MathsVerdict, OptimizerComparison, StepWork

WORK = StepWork({"Adam.step": (2.0, 8.0, 70.0), "Adam.update": (500.0, 4e6, 600.0)}, "d")
DEARER = StepWork({"Adam.step": (2.0, 8.0, 70.0), "Adam.update": (620.0, 5e6, 720.0)}, "e")

Seconds = Callable[[Shapes], float]


@dataclass
class MadeUp:
    """A side whose steps take as long as it is given, some of them twice as long."""

    seconds: Seconds
    noise: float
    work: StepWork | Failure
    tree: Tree = field(default_factory=lambda: Tree("made up", Path(), ()))
    asked: list[Any] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, Count):
            return self.work
        if isinstance(request, Prepare):
            self.shapes = request.shapes
        return self.seconds(self.shapes) * (1 + self.noise * self.random.random())

    def send(self, request: Any, limit_s: float | None = None) -> None:
        self.said = self.ask(request)

    def receive(self) -> Any:
        return self.said

    def end(self) -> None:
        pass


def compared(
    base: StepWork | Failure = WORK,
    head: StepWork | Failure = WORK,
    *,
    seconds: Seconds = lambda _: 1e-3,
    noise: float = 3.0,
    factor: float = 1.0,
    python: str = "",
    maths: MathsVerdict = MathsVerdict.IDENTICAL,
    wants: Requirements = Requirements(),  # noqa: B008
) -> tuple[OptimizerComparison, MadeUp]:
    tree = Tree("made up", Path(), (), python=python)
    one = MadeUp(seconds, noise, base, random=np.random.default_rng(1))
    other = MadeUp(lambda shapes: factor * seconds(shapes), noise, head, tree)
    about = Description({}, (), (), wants, trainable=True, code="")
    row = OptimizerComparison("a:Adam", Maths(maths))
    return cost.compare_speed(Sides(one, other), row, about, about), other  # type: ignore[arg-type]


def sizes(row: OptimizerComparison) -> list[tuple[str, int]]:
    return [(size.shapes, size.parameters) for size in row.cost.sizes]


def test_models_are_timed_beside_few_and_many_parameters() -> None:
    row, side = compared(noise=0.01)
    assert sizes(row) == [
        ("", 10_000), ("resnet18", 5_000_000), ("gpt2", 5_000_000), ("many-tiny", 5_000_000),
        ("", 10_000_000),
    ]  # fmt: skip
    asked = [request.shapes for request in side.asked if isinstance(request, Prepare)]
    assert [len(shapes) for shapes in asked] == [10, 62, 148, 1_024, 10]
    # What is the same by its times is not counted.
    assert row.speed == "same"
    assert row.cost.counted is None


def elements(shapes: Shapes) -> int:
    return sum(map(math.prod, shapes))


def test_a_model_over_which_steps_take_long_is_scaled_to_less() -> None:
    row, _ = compared(noise=0.01, seconds=lambda shapes: 4e-8 * elements(shapes))
    lists = [("resnet18", 500_000), ("gpt2", 500_000), ("many-tiny", 500_000)]
    assert sizes(row) == [("", 10_000), *lists, ("", 10_000_000)]
    # Five million take a tenth of a second or more, ten million not half a second.


def test_a_size_at_which_steps_take_too_long_is_left_out() -> None:
    row, _ = compared(noise=0.01, seconds=lambda shapes: 6e-8 * elements(shapes))
    assert sizes(row)[-1] == ("many-tiny", 500_000)
    assert "10,000,000 parameters left out: a step takes 0.6 s" in row.cost.text


def test_matrices_alone_are_given_to_who_takes_nothing_else() -> None:
    _, side = compared(noise=0.01, wants=Requirements(matrices=True))
    asked = [request.shapes for request in side.asked if isinstance(request, Prepare)]
    assert {len(shape) for shapes in asked for shape in shapes} == {2}


def test_counts_decide_what_the_times_leave_open() -> None:
    for base, head, verdict in ((WORK, DEARER, "slower"), (DEARER, WORK, "faster"),
                                (WORK, WORK, "same")):  # fmt: skip
        row, _ = compared(base, head)
        assert {size.verdict.value for size in row.cost.sizes} == {"inconclusive"}
        assert row.speed == verdict
        assert row.cost.counted is not None
        assert row.cost.counted.decides


def test_counts_of_two_environments_decide_nothing() -> None:
    row, _ = compared(WORK, DEARER, python="/elsewhere/bin/python")
    assert row.speed == "inconclusive"
    assert row.cost.counted is not None
    assert not row.cost.counted.decides


def test_equal_counts_are_no_equal_time_where_other_values_are_computed() -> None:
    row, _ = compared(maths=MathsVerdict.CHANGED)
    assert row.speed == "inconclusive"


def test_what_is_slower_by_its_times_names_the_functions_that_grew() -> None:
    row, _ = compared(WORK, DEARER, noise=0.01, factor=1.5)
    assert row.speed == "slower"
    assert row.cost.counted is not None
    assert not row.cost.counted.decides
    assert [each.function for each in row.cost.counted.dearer] == ["Adam.update"]


def test_what_cannot_be_counted_says_why() -> None:
    row, _ = compared(Failure("refused", "it calls torch.compile"))
    assert row.speed == "inconclusive"
    assert row.cost.text.endswith("; not counted: it calls torch.compile")
    row, side = compared(wants=Requirements(closure=True))
    assert "not counted: a step takes as many evaluations" in row.cost.text
    assert not any(isinstance(request, Count) for request in side.asked)


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All looks are taken, however slow the machine: no result depends on its clock."""
    monkeypatch.setattr(cost, "BUDGET_S", float("inf"))
    monkeypatch.setattr(cost, "BUDGET_OF_LIST_S", float("inf"))
