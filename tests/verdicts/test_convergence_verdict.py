"""From hits to a verdict: neither side is favoured, and equality is rarely called a difference."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.analysis.paired import MARGIN
from optbench.verdicts.comparison import ConvergenceVerdict, OnProblem
from optbench.verdicts.convergence import League, best_rate, judge_steps, overall

FIXED = settings(deadline=None, derandomize=True, database=None)

TARGETS = (1e-1, 1e-3, 1e-6)
LEAGUE = League("beale", "default", TARGETS, (1e-3, 1e-2))
Hits = list[tuple[int | None, ...]]

EQUIVALENT, IMPROVED = ConvergenceVerdict.EQUIVALENT, ConvergenceVerdict.IMPROVED
REGRESSED, INCONCLUSIVE = ConvergenceVerdict.REGRESSED, ConvergenceVerdict.INCONCLUSIVE
MIRROR = {IMPROVED: REGRESSED, REGRESSED: IMPROVED}


def one_target(*steps: int | None) -> Hits:
    """Hits of a run each; easier targets are reached at the start."""
    return [(0, 0, step) for step in steps]


@st.composite
def runs(draw: st.DrawFn) -> tuple[Hits, Hits]:
    """Both sides over the same seeds: later targets are reached later, or not at all."""
    seeds = draw(st.integers(1, 24))

    def hits() -> tuple[int | None, ...]:
        steps = sorted(draw(st.lists(st.integers(0, 40), min_size=3, max_size=3)))
        reached = draw(st.sampled_from([3, 3, 3, 2, 1, 0]))
        return tuple(step if place < reached else None for place, step in enumerate(steps))

    return [hits() for _ in range(seeds)], [hits() for _ in range(seeds)]


# One league on one problem.


@settings(FIXED, max_examples=60)
@given(sides=runs(), alpha=st.sampled_from([0.2, 0.05, 0.01]))
def test_exchanging_the_sides_exchanges_improved_and_regressed(
    sides: tuple[Hits, Hits], alpha: float
) -> None:
    base, head = sides
    one = judge_steps(LEAGUE, base, head, alpha=alpha)
    other = judge_steps(LEAGUE, head, base, alpha=alpha)
    edges = (1 + MARGIN, 1 / (1 + MARGIN))  # where the last digit of a logarithm decides
    if one.ratio is None or not any(math.isclose(one.ratio, edge) for edge in edges):
        assert other.verdict is MIRROR.get(one.verdict, one.verdict)
    assert (other.target, other.seeds) == (one.target, one.seeds)
    # So it does of a forecast, which may round to another pair.
    if one.more_seeds is not None and other.more_seeds is not None:
        assert abs(other.more_seeds - one.more_seeds) <= 1
    if one.ratio is None or math.isnan(one.ratio):
        return

    def inverse(x: float | None) -> float:
        assert x is not None
        return math.inf if x == 0 else 1 / x

    found = (inverse(other.ratio), inverse(other.high), inverse(other.low))
    assert found == pytest.approx((one.ratio, one.low, one.high))
    place = TARGETS.index(one.target or 0)
    ties = sum(b[place] == h[place] for b, h in zip(base, head, strict=True))
    assert one.won + other.won + ties == len(base)


@settings(FIXED, max_examples=60)
@given(sides=runs(), random=st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(sides: tuple[Hits, Hits], random) -> None:
    pairs = list(zip(*sides, strict=True))
    shuffled = list(zip(*random.sample(pairs, len(pairs)), strict=True))
    one, other = (judge_steps(LEAGUE, b, h, alpha=0.05) for b, h in (sides, shuffled))
    assert repr(one) == repr(other)


@settings(FIXED, max_examples=60)
@given(sides=runs(), random=st.randoms(use_true_random=False))
def test_whose_run_was_whose_does_not_change_the_target(sides: tuple[Hits, Hits], random) -> None:
    """Under equality a pair could as well be the other way round: no target favours a side."""
    mixed = [pair[:: random.choice([1, -1])] for pair in zip(*sides, strict=True)]
    one = judge_steps(LEAGUE, *sides, alpha=0.05)
    other = judge_steps(LEAGUE, *map(list, zip(*mixed, strict=True)), alpha=0.05)
    assert one.target == other.target


@settings(FIXED, max_examples=60)
@given(sides=runs())
def test_a_side_against_itself_never_differs(sides: tuple[Hits, Hits]) -> None:
    found = judge_steps(LEAGUE, sides[0], sides[0], alpha=0.05)
    assert found.verdict in (EQUIVALENT, INCONCLUSIVE)
    assert found.won == 0
    assert found.ratio in (None, 1.0)


def experiment(generator: np.random.Generator, seeds: int, effect: float) -> Hits:
    """Log-normal steps to three targets, of which the later ones are often past the budget."""
    growth = np.exp(generator.normal(size=(seeds, 3)) * 0.5 + [2.0, 0.7, 0.5])
    steps = effect * growth.cumsum(1)
    budget = 11.5
    return [tuple(int(10 * s) if s < budget else None for s in row) for row in steps.tolist()]


def test_equal_sides_are_told_apart_no_more_often_than_the_level_says() -> None:
    generator = np.random.default_rng(5)
    alpha, times = 0.05, 2000
    verdicts: Counter[ConvergenceVerdict] = Counter()
    targets: Counter[float | None] = Counter()
    for _ in range(times):
        sides = [experiment(generator, 14, 1.0) for _ in range(2)]
        found = judge_steps(LEAGUE, *sides, alpha=alpha)
        verdicts[found.verdict] += 1
        targets[found.target] += 1
    wrong = verdicts[IMPROVED] + verdicts[REGRESSED]
    assert wrong <= alpha * times
    assert wrong > 0
    # It is a target now and another then, and that favours neither side.
    assert sum(count > times / 10 for count in targets.values()) >= 2
    assert abs(verdicts[IMPROVED] - verdicts[REGRESSED]) <= 4 * math.sqrt(wrong)


@pytest.mark.parametrize(("effect", "verdict"), [(1.6, REGRESSED), (1 / 1.6, IMPROVED)])
def test_a_real_difference_is_found_though_many_do_not_arrive(
    effect: float, verdict: ConvergenceVerdict
) -> None:
    generator = np.random.default_rng(6)
    found = [
        judge_steps(
            LEAGUE, experiment(generator, 48, 1.0), experiment(generator, 48, effect), alpha=0.01
        ).verdict
        for _ in range(40)
    ]
    assert found.count(verdict) >= 32
    assert MIRROR[verdict] not in found


def test_the_hardest_target_that_half_of_all_runs_reach_is_compared() -> None:
    base: Hits = [(1, 5, 9)] * 12
    assert judge_steps(LEAGUE, base, [(1, 5, None)] * 12, alpha=0.05).target == 1e-6
    head: Hits = [(1, 5, None)] * 12
    assert judge_steps(LEAGUE, [(1, 5, None), *base[1:]], head, alpha=0.05).target == 1e-3
    nowhere: Hits = [(None,) * 3] * 12
    assert judge_steps(LEAGUE, [(1, None, None)] * 12, nowhere, alpha=0.05).target == 1e-1


def test_a_head_that_never_arrives_has_regressed_without_bounds() -> None:
    found = judge_steps(LEAGUE, one_target(*[9] * 12), one_target(*[None] * 12), alpha=0.01)
    assert found.verdict is REGRESSED
    assert (found.low, found.ratio, found.high) == (math.inf,) * 3
    assert found.won == 0
    back = judge_steps(LEAGUE, one_target(*[None] * 12), one_target(*[9] * 12), alpha=0.01)
    assert back.verdict is IMPROVED
    assert (back.low, back.ratio, back.high) == (0.0,) * 3
    assert back.won == 12


def test_pairs_of_which_neither_arrives_say_nothing() -> None:
    base, head = [10] * 10 + [None] * 9, [20] * 10 + [None] * 9
    found = judge_steps(LEAGUE, one_target(*base), one_target(*head), alpha=0.05)
    assert found.verdict is REGRESSED
    assert found.ratio == pytest.approx(21 / 11)
    assert found.seeds == 19


def test_where_nobody_arrives_nothing_is_said() -> None:
    nowhere: Hits = [(None,) * 3] * 12
    found = judge_steps(LEAGUE, nowhere, nowhere, alpha=0.05)
    assert found.verdict is INCONCLUSIVE
    assert (found.ratio, found.low, found.high, found.target) == (None,) * 4
    assert found.more_seeds is None
    assert "neither side reaches a target" in found.text


def test_a_start_within_the_target_is_reached_by_both_at_once() -> None:
    found = judge_steps(LEAGUE, one_target(*[0] * 12), one_target(*[0] * 12), alpha=0.05)
    assert found.verdict is EQUIVALENT
    assert (found.low, found.ratio, found.high) == (1.0,) * 3


def test_steps_within_five_percent_are_equivalent_even_where_the_sign_is_sure() -> None:
    slower = judge_steps(LEAGUE, one_target(*[99] * 12), one_target(*[103] * 12), alpha=0.05)
    assert slower.verdict is EQUIVALENT
    more = judge_steps(LEAGUE, one_target(*[99] * 12), one_target(*[105] * 12), alpha=0.05)
    assert more.verdict is REGRESSED


def test_what_is_certain_and_no_news_is_open() -> None:
    """All seeds are slower, half of them by four percent, the others by twice as much."""
    base = one_target(*[99] * 40)
    found = judge_steps(LEAGUE, base, one_target(*[103, 107] * 20), alpha=0.05)
    assert found.low is not None
    assert found.low > 1
    assert found.verdict is REGRESSED
    less = judge_steps(LEAGUE, base, one_target(*[103] * 21, *[107] * 19), alpha=0.05)
    assert less.low == found.low
    assert less.verdict is INCONCLUSIVE


def test_too_few_seeds_are_inconclusive_and_said_to_be() -> None:
    found = judge_steps(LEAGUE, one_target(*[9] * 5), one_target(*[19] * 5), alpha=0.05)
    assert found.verdict is INCONCLUSIVE
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.more_seeds == 1  # six of one sign are sure at 5 %
    told = judge_steps(LEAGUE, one_target(*[9] * 6), one_target(*[19] * 6), alpha=0.05)
    assert told.verdict is REGRESSED
    assert told.more_seeds is None


def test_what_a_row_says_comes_from_its_league() -> None:
    found = judge_steps(LEAGUE, one_target(9), one_target(9), alpha=0.05)
    assert (found.problem, found.league, found.lr) == ("beale", "default", (1e-3, 1e-2))


# The learning rate.

RATES = (1e-3, 1e-2, 1e-1)


def test_the_best_rate_needs_the_fewest_steps() -> None:
    hits: list[Hits] = [[(50, 80), (60, 90)], [(5, 8), (6, 9)], [(20, 30), (20, 30)]]
    assert best_rate(RATES, hits, 100) == 1e-2


def test_who_misses_is_not_chosen_for_being_quick_to_what_is_easy() -> None:
    quick: Hits = [(1, None)]
    steady: Hits = [(10, 99)]
    assert best_rate(RATES[:2], [quick, steady], 100) == 1e-3 * 10
    assert best_rate(RATES[:2], [steady, quick], 100) == 1e-3


def test_of_equals_the_lowest_rate_is_taken() -> None:
    assert best_rate(RATES, [[(5,)], [(5,)], [(5,)]], 100) == 1e-3
    assert best_rate(RATES, [[(None,)], [(None,)], [(None,)]], 100) == 1e-3
    assert best_rate(RATES, [[(9,)], [(5,)], [(5,)]], 100) == 1e-2


def test_steps_are_averaged_as_ratios() -> None:
    """1 and 90 are better than 20 and 20, whose mean is lower."""
    assert best_rate(RATES[:2], [[(0,), (89,)], [(19,), (19,)]], 100) == 1e-3


@settings(FIXED, max_examples=50)
@given(
    st.lists(st.integers(0, 50), min_size=3, max_size=3), st.permutations(range(3)), st.booleans()
)
def test_the_order_of_seeds_does_not_choose_a_rate(
    steps: list[int], order: list[int], missed: bool
) -> None:
    first: Hits = [(s, None if missed else s + 9) for s in steps]
    other: Hits = [(7, 20)] * 3
    expected = best_rate(RATES[:2], [first, other], 99)
    assert best_rate(RATES[:2], [[first[i] for i in order], other], 99) == expected


# All problems.


def on(verdict: ConvergenceVerdict, ratio: float | None = 1.0, **more: object) -> OnProblem:
    interval = (None, None) if ratio is None else (ratio * 0.9, ratio * 1.1)
    values: dict[str, object] = {
        "problem": "beale", "league": "default", "ratio": ratio, "low": interval[0],
        "high": interval[1], "target": None if ratio is None else 1e-6, "seeds": 12, "won": 0,
        "lr": (0.1, 0.1), **more,
    }  # fmt: skip
    return OnProblem(verdict=verdict, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tuned", "default", "verdict"),
    [
        # The tuned league decides: at one fixed rate longer steps look like an improvement.
        (("+",), ("-", "-", "-"), IMPROVED),
        (("-",), ("+", "+", "+"), REGRESSED),
        # Where that is undecided, the defaults do.
        (("=", "?"), ("-",), REGRESSED),
        (("=", "?"), ("+",), IMPROVED),
        ((), ("+", "="), IMPROVED),
        # Within a league as many worse as better are worse.
        (("-", "+"), (), REGRESSED),
        (("-", "+", "+"), (), IMPROVED),
        (("-", "-", "+"), ("+",), REGRESSED),
        # Nothing better or worse anywhere.
        (("=",), ("=",), EQUIVALENT),
        (("=",), ("?",), INCONCLUSIVE),
    ],
)
def test_the_tuned_league_decides_and_then_the_default_one(
    tuned: tuple[str, ...], default: tuple[str, ...], verdict: ConvergenceVerdict
) -> None:
    kinds = {
        "+": on(IMPROVED, 0.5), "-": on(REGRESSED, 2.0), "=": on(EQUIVALENT),
        "?": on(INCONCLUSIVE, 1.1),
    }  # fmt: skip
    rows = [replace(kinds[kind], league="tuned") for kind in tuned]
    rows += [replace(kinds[kind], league="default") for kind in default]
    for order in (rows, rows[::-1]):
        assert overall(order)[0] is verdict
    # What is said against the verdict is said, too, behind what is said for it.
    text = overall(rows)[1]
    assert ("slower on" in text) is ("-" in (*tuned, *default))
    assert ("faster on" in text) is ("+" in (*tuned, *default))
    if verdict in MIRROR:
        assert text.startswith("slower" if verdict is REGRESSED else "faster")


def test_a_league_with_hyperparameters_counts_as_its_kind() -> None:
    rows = [on(IMPROVED, 0.5, league="default"), on(REGRESSED, 1.5, league="tuned, eps=0.0001")]
    assert overall(rows)[0] is REGRESSED


def test_the_worst_and_the_best_are_named_with_their_intervals() -> None:
    _, text = overall([on(REGRESSED, 1.2), on(REGRESSED, 1.9, problem="worst"), on(EQUIVALENT)])
    assert "2 of 3 default" in text
    assert text.endswith("most on worst (default): 1.90 [1.71, 2.09]")
    _, text = overall([on(REGRESSED, 1.2), on(REGRESSED, math.inf, problem="worst")])
    assert text.endswith("most on worst (default): does not arrive")
    verdict, text = overall([on(IMPROVED, 0.7), on(IMPROVED, 0.0, problem="best"), on(EQUIVALENT)])
    assert verdict is IMPROVED
    assert "2 of 3 default" in text
    assert text.endswith("most on best (default): the base does not arrive")


def test_equivalent_needs_every_answer() -> None:
    same = [on(EQUIVALENT)] * 4
    assert overall(same) == (EQUIVALENT, "within 5 % on 4 of 4")
    verdict, text = overall([*same, on(INCONCLUSIVE, 1.1, problem="open", more_seeds=1400)])
    assert verdict is INCONCLUSIVE
    assert "4 equivalent, 1 open, widest open (default): 1.10" in text
    assert text.endswith("about 1,400 more seeds would settle it")


def test_the_widest_of_the_open_is_named_and_the_most_seeds() -> None:
    wide = on(INCONCLUSIVE, 1.1, problem="wide", low=0.0, high=9.0, more_seeds=7)
    rows = [on(INCONCLUSIVE, 1.0, more_seeds=30), wide, on(INCONCLUSIVE)]
    for order in (rows, rows[::-1]):
        text = overall(order)[1]
        assert "0 equivalent, 3 open, widest wide (default): 1.10 [0.00, 9.00]" in text
        assert "about 30 more seeds" in text


def test_where_no_side_reaches_a_target_does_not_count() -> None:
    silent = on(INCONCLUSIVE, None)
    assert overall([on(EQUIVALENT), silent]) == (EQUIVALENT, "within 5 % on 1 of 1")
    verdict, text = overall([on(IMPROVED, 0.5), silent])
    assert (verdict, text[:16]) == (IMPROVED, "faster on 1 of 1")  # of those that tell
    assert overall([silent, silent]) == (
        INCONCLUSIVE,
        "2 tried: neither side reaches a target",
    )
    assert overall([]) == (INCONCLUSIVE, "no problem fits it")


@FIXED
@given(
    st.lists(st.sampled_from([on(each) for each in ConvergenceVerdict]), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_verdict_does_not_hang_on_the_order_of_problems(rows: list[OnProblem], random) -> None:
    assert overall(rows)[0] is overall(random.sample(rows, len(rows)))[0]
