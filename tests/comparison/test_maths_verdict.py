"""From records to a verdict in words: what one scenario shows, and what many of them say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.comparison.maths import (
    AS_FAR,
    CHECKS,
    NARROW,
    ROUNDING,
    Outcome,
    judge,
    law_of,
    look,
    look_at_averages,
    look_at_check,
    look_at_checkpoint,
    look_at_law,
    partner,
    same,
)
from optbench.comparison.requests import Failure, Kept
from optbench.scenarios.catalogue import DEFAULTS as STEADY
from optbench.scenarios.catalogue import Description, plan
from optbench.scenarios.record import Checkpoint, Record
from optbench.scenarios.relations import RELATIONS
from optbench.scenarios.requirements import Requirements
from optbench.scenarios.scenario import OwnValue, Scenario
from optbench.verdicts.comparison import Maths, MathsVerdict

FIXED = settings(deadline=None, derandomize=True, database=None)

STEPS, ELEMENTS = 60, 12
SEEDS = st.integers(0, 2**31 - 1)
RAISED = Failure("raised", "ValueError: no", "src/tinyopt/adam.py:7")


def trajectory(seed: int = 0, size: float = 1.0) -> np.ndarray:
    """The path of a record."""
    return size * np.random.default_rng(seed).normal(size=(1 + STEPS, ELEMENTS)).cumsum(0)


def compare(base: np.ndarray | Failure, head: np.ndarray | Failure) -> Outcome:
    records = [each if isinstance(each, Failure) else Record(each) for each in (base, head)]
    return look(STEADY, *records)


def from_step(rows: np.ndarray, step: int, by: float, element: int = 3) -> np.ndarray:
    changed = rows.copy()
    changed[step:, element] += by
    return changed


# One scenario.


@FIXED
@given(seed=SEEDS)
def test_the_same_is_the_same_whatever_is_in_it(seed: int) -> None:
    rows = trajectory(seed)
    rows[20:, 2], rows[30:, 4], rows[:, 5] = np.nan, np.inf, 0.0
    other = rows.copy()
    other[:, 5] = -0.0
    assert same(rows, other)
    assert compare(rows, other).kind == "same"


def test_bits_shapes_and_nan_are_looked_at() -> None:
    rows = trajectory()
    last = rows.copy()
    last[-1, 0] = np.nextafter(last[-1, 0], np.inf)
    nan = rows.copy()
    nan[-1, 0] = np.nan
    assert not same(rows, last)
    assert not same(rows, nan)
    assert not same(rows, rows[:-1])


@settings(FIXED, max_examples=40)
@given(seed=SEEDS, size=st.sampled_from([1e-6, 1.0, 1e6]), part=st.floats(1e-14, ROUNDING / 4))
def test_another_order_of_the_same_operations_is_rounding(
    seed: int, size: float, part: float
) -> None:
    base = trajectory(seed, size)
    head = base.copy()
    head[1:] += part * (base[1:] - base[0])
    kind = compare(base, head).kind
    assert kind in ("rounding", "same")
    assert kind == "rounding" or same(base, head)


@settings(FIXED, max_examples=60)
@given(
    seed=SEEDS,
    size=st.sampled_from([1e-6, 1.0, 1e6]),
    step=st.integers(1, STEPS),
    part=st.floats(1e-6, 10.0),
    swap=st.booleans(),
)
def test_another_rule_is_seen_at_its_first_step_and_by_how_much(
    seed: int, size: float, step: int, part: float, swap: bool
) -> None:
    base = trajectory(seed, size)
    way = np.abs(base[: step + 1] - base[0]).max()
    head = from_step(base, step, part * way)
    if swap:
        # The other version's way is not the same one, but for a small difference.
        base, head = (head, base) if part < 1e-2 else (base, head)
    seen = compare(base, head)
    assert (seen.kind, seen.step) == ("changed", step)
    assert seen.relative == pytest.approx(part, rel=2e-2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["base", "head"])
def test_a_side_that_is_not_finite_has_changed_at_that_step(value: float, side: str) -> None:
    rows = trajectory()
    wild = rows.copy()
    wild[9:, 3] = value
    seen = compare(*((wild, rows) if side == "base" else (rows, wild)))
    assert (seen.kind, seen.step) == ("changed", 9)
    assert seen.relative > 0.9


@pytest.mark.parametrize("side", ["base", "head"])
def test_an_infinite_difference_is_infinitely_large(side: str) -> None:
    rows = trajectory()
    wild = rows.copy()
    wild[9:, 3] = np.inf
    seen = compare(*((wild, rows) if side == "base" else (rows, wild)))
    assert np.isinf(seen.relative)


def test_a_base_that_rests_leaves_no_way_to_measure_by() -> None:
    rest = trajectory(size=0.0)
    seen = compare(rest, from_step(rest, 4, 1e-3))
    assert (seen.kind, seen.step, seen.relative) == ("changed", 4, np.inf)


def test_another_observation_is_a_change_and_another_path_outweighs_it() -> None:
    rows = trajectory()
    base, head = (Record(rows, {"calls of the closure": (1, n)}) for n in (2, 3))
    seen = look(STEADY, base, head)
    assert (seen.kind, seen.text) == (
        "changed", "calls of the closure: (1, 3), (1, 2) in the base"
    )  # fmt: skip
    moved = look(STEADY, base, Record(from_step(rows, 7, 1.0), head.observations))
    assert (moved.kind, moved.step, moved.text) == ("changed", 7, "")


@pytest.mark.parametrize(("dtype", "bound"), [("float64", ROUNDING), *NARROW.items()])
def test_a_narrow_type_has_a_wider_bound(dtype: str, bound: float) -> None:
    rows = trajectory()
    rows[0] = 0.0
    scenario = replace(STEADY, dtype=dtype)
    # Beside the bound there is the rounding of the parameters themselves.
    for part, kind in ((0.5, "rounding"), (20.0, "changed")):
        head = rows * (1 + part * bound)
        assert look(scenario, Record(rows), Record(head)).kind == kind


def test_a_trajectory_that_ends_early_is_a_change() -> None:
    rows = trajectory()
    assert compare(rows, rows[:-1]).kind == "changed"


def test_who_fails_is_said_with_what_it_said() -> None:
    rows = trajectory()
    base, head, both = (
        compare(*answers) for answers in ((RAISED, rows), (rows, RAISED), (RAISED, RAISED))
    )
    assert (base.kind, head.kind, both.kind) == ("base fails", "head fails", "both fail")
    assert "ValueError: no" in base.text
    assert "src/tinyopt/adam.py:7" in head.text
    assert "ValueError: no" in both.text
    assert compare(rows, Failure("timeout", "no answer in 60 s")).text == "no answer in 60 s"


# What is beside the scenarios of a plan.


def test_a_check_that_one_side_fails_is_a_change() -> None:
    name = CHECKS[0]
    kept, lost, idle = Kept(True), Kept(False, "loses its moments"), Kept(None, "not asked")
    worse, better = look_at_check(name, kept, lost), look_at_check(name, lost, kept)
    assert (worse.kind, better.kind) == ("changed", "changed")
    assert worse.text == f"fails {name}, as the base does not: loses its moments"
    assert better.text == f"passes {name}, as the base does not: loses its moments"
    assert look_at_check(name, kept, kept).kind == look_at_check(name, lost, lost).kind == "same"
    assert look_at_check(name, idle, idle).kind == "both fail"
    assert look_at_check(name, kept, RAISED).kind == "head fails"
    text = judge([Outcome(STEADY, "same"), worse], description(), description()).text
    assert text == worse.text


def test_an_average_of_the_weights_is_looked_for_under_any_name() -> None:
    weights = np.linspace(1.0, 2.0, 6)
    base = {"shadow of tensor 0": weights, "shadow of tensor 1": 2 * weights}
    renamed = {"ema of tensor 0": weights * (1 + 1e-12), "ema of tensor 1": 2 * weights}
    assert look_at_averages({}, base, renamed).kind == "same"
    assert look_at_averages({}, {}, renamed).kind == "both fail"
    swapped = {"ema of tensor 1": weights, "ema of tensor 0": 2 * weights}
    for other in (swapped, {}, {"ema of tensor 0": weights * 1.001}):
        seen = look_at_averages({}, base, other)
        assert seen.kind == "changed"
        assert "shadow of tensor 0, has no equal" in seen.text or other.keys() < renamed.keys()
    seen = look_at_averages({"ema": 0.5}, base, {})
    assert seen.text.endswith("shadow of tensor 0, has no equal with ema=0.5")


def test_a_checkpoint_of_the_base_counts_where_the_state_is_the_same() -> None:
    rows = trajectory()
    base, other = Record(rows), Record(from_step(rows, 3, 1.0))
    kept = Checkpoint(b"", b"", frozenset({"moment: tensor", "step: int"}))
    renamed = Checkpoint(b"", b"", frozenset({"velocity: tensor", "step: int"}))
    assert look_at_checkpoint(STEADY, kept, kept, base, RAISED).kind == "head fails"
    assert look_at_checkpoint(STEADY, kept, kept, base, other).kind == "changed"
    assert look_at_checkpoint(STEADY, kept, renamed, base, base).kind == "same"
    for head, words in ((RAISED, "raises ValueError: no"), (other, "goes on otherwise")):
        seen = look_at_checkpoint(STEADY, kept, renamed, base, head)
        assert seen.kind == "noted"
        assert f"another state (moment, velocity): a checkpoint of the base {words}" in seen.text
    found = judge([Outcome(STEADY, "same"), seen], description(), description())
    assert (found.verdict, found.text) == (MathsVerdict.IDENTICAL, seen.text)
    assert (found.scenarios, found.differing) == (1, ())


# Laws that the base breaks.

LAW = next(r for r in RELATIONS if r.check == "complex_parameters_go_as_their_real_view")
MIRROR = next(r for r in RELATIONS if r.mirrored)


@pytest.mark.parametrize("law", [LAW, MIRROR], ids=["like", "mirrored"])
@pytest.mark.parametrize(
    ("base", "head", "kind"),
    [
        (0.0, 0.5, "changed"),
        (0.5, 0.0, "noted"),
        (0.5, 0.7, "noted"),
        (1e-6, 0.5, "changed"),
        (1e-3, 0.9 * AS_FAR * 1e-3, "noted"),
        (1e-3, 1.2 * AS_FAR * 1e-3, "changed"),
    ],
)
def test_where_the_base_breaks_a_law_it_is_no_example(
    law: Any, base: float, head: float, kind: str
) -> None:
    rows = trajectory()
    far = np.abs(rows - rows[0]).max()
    like = Record(-rows if law.mirrored else rows)
    ours = [Record(from_step(rows, 5, off * far)) for off in (base, head)]
    shown = look(law.scenario, *ours)
    assert shown.kind == "changed"
    seen = look_at_law(law, shown, ours, (like, like))
    assert seen.kind == kind
    if kind == "noted":
        assert f"the base breaks {law.check}, which the head" in seen.text
        assert ("does not break any more" in seen.text) is (head == 0)
        found = judge([Outcome(STEADY, "same"), seen], description(), description())
        assert (found.verdict, found.text) == (MathsVerdict.IDENTICAL, seen.text)
    # Where the other scenario differs, too, the law says nothing about this one.
    other = Record(from_step(like.path, 2, far))
    assert look_at_law(law, shown, ours, (like, other)) == shown
    assert look_at_law(law, shown, ours, (like, RAISED)) == shown


def test_a_law_s_other_scenario_is_under_the_same_settings() -> None:
    given = {"foreach": True, "lr": 0.25}
    tried = {each.name: each for each in plan(*[description()] * 2)}
    assert law_of(STEADY) is None
    assert law_of(tried["sparse gradients"]) is None
    alone = tried["foreach=True, complex parameters"]
    assert law_of(alone) == law_of(tried["complex parameters"]) == LAW
    assert LAW.like is not None
    assert partner(LAW, alone) == replace(LAW.like, settings={"foreach": True})
    groups = next(r for r in RELATIONS if r.scenario.name == "a tensor as lr, two groups")
    scenario = replace(groups.scenario, settings={**given, "lr": OwnValue(tensor=(), value=0.25)})
    other = partner(groups, scenario)
    assert other.settings == {"foreach": True}
    assert other.second == {"lr": OwnValue(1 / 3)}


# What many scenarios say.

DEFAULTS = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}


def description(hyperparameters: Mapping[str, Any] = DEFAULTS) -> Description:
    return Description(
        hyperparameters=hyperparameters,
        accepted=({"lr": 2e-3}, {"eps": 1e-4}, {"weight_decay": 0.1}, {"amsgrad": True}),
        offers=("foreach",),
        wants=Requirements(),
        trainable=True,
        code="",
    )


def verdict(
    kinds: Mapping[str, str] | str = "same",
    base: Description | None = None,
    head: Description | None = None,
) -> Maths:
    """Of the scenarios of a plan, each of which shows what is given under its name, or the same."""
    base, head = base or description(), head or description()

    def seen(scenario: Scenario) -> Outcome:
        kind = kinds if isinstance(kinds, str) else kinds.get(scenario.name, "same")
        if kind == "changed":
            return Outcome(scenario, kind, 3, 2.5e-4)
        return Outcome(
            scenario, kind, text="" if kind in ("same", "rounding") else "ValueError: no"
        )

    return judge([seen(each) for each in plan(base, head)], base, head)


COUNT = len(plan(description(), description()))


def test_nothing_differs() -> None:
    found = verdict()
    assert (found.verdict, found.text) == (MathsVerdict.IDENTICAL, "")
    assert (found.first, found.scenarios, found.differing) == (None, COUNT, ())


def test_differs_everywhere() -> None:
    found = verdict("changed")
    assert found.verdict is MathsVerdict.CHANGED
    assert "differs from step 3 on, by 0.00025 times the distance travelled" in found.text
    assert "in every scenario" in found.text
    assert "but" not in found.text
    assert found.first is not None
    assert (found.first.scenario, found.first.step) == ("defaults", 3)
    assert found.first.relative == 2.5e-4
    assert len(found.differing) == found.scenarios == COUNT


def test_differs_everywhere_but_in_a_way_or_two() -> None:
    names = [each.name for each in plan(description(), description())]
    found = verdict(dict.fromkeys([n for n in names if n not in ("lr", "two groups")], "changed"))
    assert "in every scenario but" in found.text
    tail = found.text.partition("in every scenario but")[2]
    assert "two groups" in tail
    assert "lr" in tail


def test_differs_in_some_scenarios_the_defaults_among_them() -> None:
    found = verdict({"defaults": "changed", "eps": "changed"})
    assert f"in 2 of {COUNT} scenarios, the defaults among them" in found.text
    assert "only with" not in found.text


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["weight_decay"], "weight_decay=0.1"),
        (["weight_decay", "foreach=True, weight_decay"], "weight_decay"),
        (["amsgrad=True"], "amsgrad=True"),
        (["foreach=True"], "foreach=True"),
        (["foreach=True", "foreach=True, sparse gradients"], "foreach=True"),
        (["two groups"], "two groups"),
        (["sparse gradients"], "sparse gradients"),
    ],
)
def test_differs_only_under_something_which_is_named(names: list[str], words: str) -> None:
    found = verdict(dict.fromkeys(names, "changed"))
    assert found.verdict is MathsVerdict.CHANGED
    assert found.differing == tuple(names)
    _, only, condition = found.text.partition("only with")
    assert only
    assert words in condition
    for other in {"eps", "lr=", "amsgrad", "groups"} - set(words.replace("=", " ").split()):
        assert other in words or other not in condition


def test_differs_only_in_ways_that_share_nothing() -> None:
    names = ["two groups", "sparse gradients", "eps"]
    condition = verdict(dict.fromkeys(names, "changed")).text.partition("only with")[2]
    assert "two groups" in condition
    assert "sparse gradients" in condition
    assert "eps" in condition


def test_a_long_list_of_conditions_is_cut_and_counted() -> None:
    odd = [each for each in plan(description(), description()) if not each.is_plain][:7]
    text = verdict(dict.fromkeys([each.name for each in odd], "changed")).text
    assert text.endswith("and 3 more")
    assert odd[3].name in text
    assert odd[4].name not in text


def test_rounding_is_no_change_and_a_change_is_no_rounding() -> None:
    found = verdict({"defaults": "rounding", "eps": "rounding"})
    assert found.verdict is MathsVerdict.ROUNDING
    assert f"2 of {COUNT}" in found.text
    assert (found.first, found.differing) == (None, ())
    assert verdict({"defaults": "rounding", "eps": "changed"}).verdict is MathsVerdict.CHANGED


def test_a_head_that_raises_is_broken() -> None:
    found = verdict({"weight_decay": "head fails"})
    assert found.verdict is MathsVerdict.BROKEN
    assert found.text.startswith("raises with weight_decay=0.1: ValueError: no")
    assert found.differing == ("weight_decay",)
    assert found.first is not None
    assert found.first.scenario == "weight_decay"
    everywhere = verdict("head fails")
    assert everywhere.text.startswith("raises with")
    assert "only with" not in everywhere.text


def test_broken_outweighs_changed_and_both_are_named_as_differing() -> None:
    found = verdict({"defaults": "changed", "weight_decay": "head fails", "eps": "rounding"})
    assert found.verdict is MathsVerdict.BROKEN
    assert set(found.differing) == {"defaults", "weight_decay"}


def test_a_base_that_raises_in_ordinary_use_is_a_change() -> None:
    found = verdict({"defaults": "base fails"})
    assert found.verdict is MathsVerdict.CHANGED
    assert "works with defaults, where the base raises: ValueError: no" in found.text
    assert found.differing == ("defaults",)


def test_what_works_now_beside_ordinary_use_is_told_and_no_change() -> None:
    found = verdict({"two groups": "base fails", "eps": "rounding"})
    assert found.verdict is MathsVerdict.ROUNDING
    assert "now works with two groups, where the base raises" in found.text
    assert (found.first, found.differing) == (None, ())
    broken = verdict({"two groups": "base fails", "eps": "head fails"})
    assert broken.verdict is MathsVerdict.BROKEN
    assert broken.differing == ("eps",)
    assert "now works with two groups" in broken.text


def test_scenarios_that_fail_on_both_sides_do_not_count() -> None:
    found = verdict({"fused=True": "both fail", "two groups": "both fail", "eps": "changed"})
    assert found.scenarios == COUNT - 1
    assert found.differing == ("eps",)
    every = verdict("both fail")
    assert every.verdict is MathsVerdict.INCONCLUSIVE
    assert "both sides fail in every scenario: ValueError: no" in every.text
    assert (every.first, every.scenarios, every.differing) == (None, 0, ())


def test_the_first_difference_is_that_of_the_most_ordinary_scenario() -> None:
    found = verdict({"amsgrad=True": "changed", "two groups": "changed"})
    assert found.first is not None
    assert found.first.scenario == found.differing[0] == "two groups"


# What changed in the constructor.


def test_a_changed_default_is_named_with_both_values() -> None:
    head = description({**DEFAULTS, "eps": 1e-6})
    found = verdict({"defaults": "changed"}, head=head)
    assert found.verdict is MathsVerdict.CHANGED
    assert "the default of eps went from 1e-08 to 1e-06" in found.text
    assert "defaults" in found.text.partition(";")[2].partition(";")[0]
    # Also where it changes nothing that was looked at.
    assert "the default of eps" in verdict(head=head).text
    assert "the default of lr" not in found.text


def test_removed_and_new_arguments_are_named() -> None:
    rest = {name: DEFAULTS[name] for name in ("lr", "eps")}
    gone = verdict({"amsgrad=True": "head fails"}, head=description(rest))
    assert "takes no weight_decay, amsgrad any more" in gone.text
    assert "now takes" not in gone.text
    new = verdict(base=description(rest))
    assert new.verdict is MathsVerdict.IDENTICAL
    assert new.text == "now takes weight_decay, amsgrad"
    renamed = {("beta" if name == "eps" else name): v for name, v in DEFAULTS.items()}
    text = verdict({"eps": "head fails"}, head=description(renamed)).text
    assert "takes no eps any more" in text
    assert "now takes beta" in text


@settings(FIXED, max_examples=60)
@given(
    kinds=st.lists(
        st.sampled_from(["same", "rounding", "changed", "base fails", "head fails", "both fail"]),
        min_size=COUNT,
        max_size=COUNT,
    )
)
def test_the_worst_of_the_scenarios_is_the_verdict(kinds: list[str]) -> None:
    tried = plan(description(), description())
    # What raises with the base alone counts as a change in ordinary use only.
    worst = [
        "works now" if kind == "base fails" and not each.is_plain else kind
        for each, kind in zip(tried, kinds, strict=True)
    ]
    found = verdict({each.name: kind for each, kind in zip(tried, kinds, strict=True)})
    order = {
        "head fails": MathsVerdict.BROKEN,
        "changed": MathsVerdict.CHANGED,
        "base fails": MathsVerdict.CHANGED,
        "rounding": MathsVerdict.ROUNDING,
        "same": MathsVerdict.IDENTICAL,
        "works now": MathsVerdict.IDENTICAL,
        "both fail": MathsVerdict.INCONCLUSIVE,
    }
    assert found.verdict is next(order[kind] for kind in order if kind in worst)
    assert found.scenarios == sum(kind != "both fail" for kind in kinds)
    worse = ("head fails", "changed", "base fails")
    expected = [each.name for each, kind in zip(tried, worst, strict=True) if kind in worse]
    assert list(found.differing) == expected
    assert bool(expected) == (found.first is not None)
    assert found.first is None or found.first.scenario in expected
