"""Pairwise settings: few, and any two choices together in one of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.scenarios.combinations import MOST, pairwise, settings_over
from optbench.scenarios.relations import Over
from optbench.scenarios.requirements import Requirements

FIXED = settings(deadline=None, derandomize=True, database=None)

WAYS = st.sampled_from([[{}], [{}, {"foreach": True}], [{}, {"foreach": True}, {"fused": True}]])
NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=7)


def subject(names: list[str], accepts: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> Any:
    """Of hyperparameters that are 0, or 1, or 2."""
    variants = tuple({name: value} for name in names for value in (1, 2))
    return SimpleNamespace(
        variants=variants, wants=Requirements(), accepts=accepts, settings_over={}, asks_for=(),
        takes=lambda _: True,
    )  # fmt: skip


def choices(ways: list[dict[str, Any]], names: list[str]) -> list[list[dict[str, Any]]]:
    """Each implementation; of each hyperparameter the default and one other value."""
    offered = [name for way in ways for name in way]
    implementations = [{**dict.fromkeys(offered), **way} for way in ways]
    return [implementations, *([{name: None}, {name: 1}] for name in names)]


@FIXED
@given(ways=WAYS, names=NAMES)
def test_any_two_choices_stand_together_once(ways: list[dict[str, Any]], names: list[str]) -> None:
    found = pairwise(subject(names), ways, most=10**6)
    for one, other in itertools.combinations(choices(ways, names), 2):
        for pair in itertools.product(one, other):
            wanted = {**pair[0], **pair[1]}
            assert any(all(s.get(n) == v for n, v in wanted.items()) for s in found), wanted
    # Fewer than one after another: a pair in each.
    assert len(found) <= max(4, 3 * (len(names) + 1))


@FIXED
@given(ways=WAYS, names=NAMES, most=st.integers(1, MOST), refused=st.sampled_from("abcdefghij"))
def test_the_defaults_come_first_none_twice_none_refused_and_not_too_many(
    ways: list[dict[str, Any]], names: list[str], most: int, refused: str
) -> None:
    def accepts(each: Mapping[str, Any]) -> bool:
        return refused not in each

    found = pairwise(subject(names, accepts), ways, most)
    assert found[0] == {}
    assert len(found) <= most
    assert len({repr(sorted(each.items())) for each in found}) == len(found)
    assert all(map(accepts, found))


def test_what_contradicts_itself_is_left_out() -> None:
    given = subject([])
    given.variants = ({"momentum": 0.9, "nesterov": True}, {"momentum": 0.5})
    found = pairwise(given, [{}])
    assert {"momentum": 0.9, "nesterov": True} in found
    assert {"momentum": 0.5} in found
    # A momentum of 0.5 would take the place of the one that nesterov came with.
    assert not any(each.get("nesterov") and each["momentum"] != 0.9 for each in found)


def test_a_relation_says_over_what_it_is_held() -> None:
    given = subject(["a", "b"])
    assert settings_over(given, Over.DEFAULTS) == [{}]
    assert settings_over(given, Over.IMPLEMENTATIONS) == [{}, {"foreach": True}, {"fused": True}]
    combined = settings_over(given, Over.COMBINATIONS)
    assert {name for each in combined for name in each} == {"foreach", "fused", "a", "b"}
    assert settings_over(given, Over.COMBINATIONS) is combined
    given.asks_for = ("fused",)
    given.settings_over.clear()
    assert settings_over(given, Over.IMPLEMENTATIONS) == [{}]
    # A line search takes hundreds of evaluations a step.
    given.wants = Requirements(closure=True)
    assert settings_over(given, Over.COMBINATIONS) == [{}]
