"""A comparison in words: what is said of an optimizer, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from optbench.reporting.comparison_text import (
    Teller,
    cost_in_words,
    details,
    on_problem,
    summary,
    times,
    verdicts,
)
from optbench.verdicts.comparison import (
    AtSize,
    Comparison,
    ConvergenceVerdict,
    Cost,
    Counted,
    Difference,
    InFunction,
    Maths,
    MathsVerdict,
    MemoryVerdict,
    OnProblem,
    OptimizerComparison,
    Refusal,
    SideOfComparison,
    SpeedVerdict,
)

RUNGS = ("maths", "convergence", "speed", "memory")


def problem(verdict: str, ratio: float | None = 1.31, name: str = "beale", **more) -> OnProblem:
    none = ratio is None
    values = {
        "league": "default", "ratio": ratio, "low": None if none else ratio * 0.9,
        "high": None if none else ratio * 1.1, "target": None if none else 1e-6,
        "seeds": 16, "won": 0, "lr": (1e-3, 1e-2), **more,
    }  # fmt: skip
    return OnProblem(name, verdict=ConvergenceVerdict(verdict), **values)


def identical(name: str = "tinyopt:SGD") -> OptimizerComparison:
    return OptimizerComparison(
        name,
        Maths(MathsVerdict.IDENTICAL, scenarios=19),
        speed=SpeedVerdict.SAME,
        memory=MemoryVerdict.SAME,
        cost=Cost(text="not timed: the same code"),
    )


def regressed(name: str = "tinyopt:Adam") -> OptimizerComparison:
    size = AtSize(10_000, SpeedVerdict.SLOWER, 1.3, 1.25, 1.35, (1e-3, 1.3e-3), 32)
    return OptimizerComparison(
        name,
        Maths(
            MathsVerdict.CHANGED,
            "differs from step 2 on, by 0.1 times the distance travelled; "
            "only with weight_decay=0.1",
            Difference("weight_decay", 2, 0.1),
            scenarios=19,
            differing=("weight_decay",),
        ),
        convergence=ConvergenceVerdict.REGRESSED,
        convergence_text="slower on 1 of 2, most on beale (default): 1.31 [1.18, 1.44]",
        problems=(problem("regressed"), problem("equivalent", 1.0, "deep-tanh")),
        speed=SpeedVerdict.SLOWER,
        memory=MemoryVerdict.MORE,
        cost=Cost(
            1.3, 1.25, 1.35, (8.0, 12.0), sizes=(size,), text="at 10,000 parameters"
        ),
    )  # fmt: skip


def improved(name: str = "tinyopt:Lion") -> OptimizerComparison:
    return OptimizerComparison(
        name,
        Maths(
            MathsVerdict.CHANGED,
            "differs from step 1 on, by 2 times the distance travelled; in every scenario",
        ),
        convergence=ConvergenceVerdict.IMPROVED,
        convergence_text="faster on 1 of 1, most on beale (default): 0.50 [0.45, 0.55]",
        problems=(problem("improved", 0.5),),
        speed=SpeedVerdict.FASTER,
        memory=MemoryVerdict.LESS,
    )


def broken(name: str = "tinyopt:Muon") -> OptimizerComparison:
    return OptimizerComparison(
        name, Maths(MathsVerdict.BROKEN, "raises with two groups: ValueError: no (muon.py:7)")
    )


def rounding(name: str = "tinyopt:Nadam") -> OptimizerComparison:
    return replace(identical(name), maths=Maths(MathsVerdict.ROUNDING, "in 3 of 19 scenarios"))


def comparison(*rows: OptimizerComparison, **more) -> Comparison:
    values = {
        "base": SideOfComparison("main", "0123456789abcdef0123456789abcdef01234567"),
        "head": SideOfComparison("working tree", "f" * 40, "2 uncommitted changes"),
        "rungs": RUNGS,
        "environment": {"torch": "2.9.1", "python": "3.11.7", "cpu": "AMD EPYC"},
        "seconds": 41.4,
        **more,
    }
    return Comparison(optimizers=rows, **values)


# A line an optimizer.


def test_what_asks_for_no_attention_is_one_line() -> None:
    line = Teller(verbose=False, rungs=RUNGS).line(identical())
    assert line.split() == [
        "tinyopt:SGD", "maths", "identical", "convergence", "—", "speed", "same", "memory", "same",
    ]  # fmt: skip
    assert "\n" not in line


def test_what_asks_for_attention_is_told_below_its_line() -> None:
    first, *rest = Teller(verbose=False, rungs=RUNGS).line(regressed()).splitlines()
    assert first.startswith("tinyopt:Adam ")
    assert [line.split(":")[0].strip() for line in rest[:3]] == ["maths", "convergence", "cost"]
    # Of the problems those that speak; the others in full detail only.
    assert len(rest) == 4
    assert rest[3].strip().startswith("beale, default: regressed")
    verbose = Teller(verbose=True, rungs=RUNGS).line(regressed())
    assert "deep-tanh, default: equivalent" in verbose


def test_verdicts_begin_in_the_same_column() -> None:
    teller = Teller(verbose=False, rungs=RUNGS)
    lines = [teller.line(row).splitlines()[0] for row in (identical(), regressed(), broken())]
    for rung in RUNGS:
        assert len({line.index(f" {rung} ") for line in lines}) == 1


@pytest.mark.parametrize("rungs", [("maths",), ("maths", "speed"), RUNGS])
def test_only_the_rungs_asked_for_are_told(rungs: tuple[str, ...]) -> None:
    assert [rung for rung, _ in verdicts(regressed(), rungs)] == list(rungs)
    first = Teller(verbose=False, rungs=rungs).line(regressed()).splitlines()[0]
    for rung in RUNGS:
        assert (rung in first) is (rung in rungs)


def test_a_rung_that_was_not_climbed_is_a_dash_and_no_verdict() -> None:
    assert dict(verdicts(broken(), RUNGS)) == {
        "maths": "broken", "convergence": "—", "speed": "—", "memory": "—",
    }  # fmt: skip


def test_a_note_on_identical_maths_is_told() -> None:
    """A new argument, or one less: a program that gives it is affected."""
    for text in ("now takes caution", "takes no eps any more", "takes no a any more; now takes b"):
        row = replace(identical(), maths=Maths(MathsVerdict.IDENTICAL, text))
        assert details(row) == [("maths", text)]


def test_a_cost_that_is_the_same_is_told_on_demand() -> None:
    assert details(identical()) == []
    assert details(identical(), verbose=True) == [("cost", "not timed: the same code")]
    leak = replace(identical(), memory=MemoryVerdict.LEAK, cost=Cost(text="64 bytes a step"))
    assert details(leak) == [("cost", "64 bytes a step")]


def test_a_cost_has_its_interval() -> None:
    assert cost_in_words(regressed()) == ("1.30x [1.25, 1.35] the time a step at 10,000 parameters")
    assert cost_in_words(broken()) == ""


ADAM = InFunction("Adam.update", (496, 620), (8, 16), (600, 724))
NEW = InFunction("_max", (0, 61.5), (0, 8), (0, 62))
CALLS = InFunction("Adam.step", (1, 1), (8, 8), (9, 11))


@pytest.mark.parametrize(
    ("counted", "speed", "said"),
    [
        (Counted((496, 681.5), (8, 24), (609, 797), (ADAM, NEW)), "slower",
         "counted, a step: 681.5 tensor operations, 496 in the base; 797 Python calls, 609 in "
         "the base; dearer: Adam.update +124 tensor operations, _max (new) +61.5 tensor "
         "operations"),
        (Counted((5, 5), (8, 8), (9, 11), (CALLS,), decides=True), "slower",
         "decided by counts, a step: as many tensor operations; 11 Python calls, 9 in the base; "
         "dearer: Adam.step +2 calls"),
        (Counted((5, 5), (8, 4_000), (9, 9)), "inconclusive",
         "counted, a step: 4,000 bytes read, 8 in the base; as many Python calls"),
        (Counted((9, 9), (8, 8), (9, 9), decides=True), "same",
         "decided by counts, a step: as many tensor operations; as many Python calls"),
        (Counted((1240, 620), (8, 8), (9, 9), (NEW,)), "faster",
         "counted, a step: 620 tensor operations, 1,240 in the base; as many Python calls"),
    ],
)  # fmt: skip
def test_counts_are_told_with_the_functions_that_grew(
    counted: Counted, speed: str, said: str
) -> None:
    cost = Cost(1.02, 0.9, 1.2, text="at 10,000 parameters", counted=counted)
    row = replace(regressed(), speed=SpeedVerdict(speed), cost=cost)
    timed, counts = cost_in_words(row).split("; ", 1)
    assert counts == said
    assert ("(inconclusive)" in timed) == counted.decides


# A question.


def test_a_question_is_answered_with_its_numbers() -> None:
    assert on_problem(problem("regressed", 1.25)) == (
        "beale, default: regressed, 1.25 [1.12, 1.38] the steps to a gap of 1e-6, 0 of 16 seeds won"
    )


def test_the_tuned_league_says_the_rates_and_an_open_question_what_would_settle_it() -> None:
    text = on_problem(problem("inconclusive", league="tuned", more_seeds=1200))
    assert ", lr 0.001 and 0.01" in text
    assert text.endswith("; 1,200 more seeds would settle it")
    assert "lr" not in on_problem(problem("regressed"))


def test_who_does_not_arrive_has_no_number() -> None:
    text = on_problem(problem("regressed", math.inf, low=1.4))
    assert "∞" in text
    assert "[1.40, ∞]" in text
    silent = on_problem(problem("inconclusive", None, text="neither side reaches a target"))
    assert silent == "beale, default: inconclusive; neither side reaches a target"
    assert (times(None), times(math.inf), times(1.314)) == ("—", "∞", "1.31")


# Who was left out, and all together.


def test_who_was_not_compared_is_told_with_the_reason() -> None:
    told = list(
        Teller(verbose=False, rungs=RUNGS).rest(
            comparison(
                only_in_base=("tinyopt:Old", "tinyopt:Older"),
                only_in_head=("tinyopt:New",),
                not_constructible=(Refusal("tinyopt:Odd", "on both sides: takes no parameters"),),
            )
        )
    )
    assert told == [
        "only in the base: tinyopt:Old, tinyopt:Older",
        "only in the head: tinyopt:New",
        "not compared: tinyopt:Odd: on both sides: takes no parameters",
    ]
    assert list(Teller(verbose=True, rungs=RUNGS).rest(comparison(identical()))) == []


def test_the_summary_counts_verdicts_and_not_what_was_not_climbed() -> None:
    text = summary(comparison(identical(), identical("b"), regressed(), broken()))
    assert text == (
        "4 optimizers: maths 2 identical, 1 changed, 1 broken; convergence 1 regressed; "
        "speed 2 same, 1 slower; memory 2 same, 1 more; in 41 s"
    )
    assert summary(comparison(broken())) == "1 optimizer: maths 1 broken; in 41 s"
    assert summary(comparison(regressed(), rungs=("maths",))) == (
        "1 optimizer: maths 1 changed; in 41 s"
    )


def test_the_summary_of_nothing_is_a_sentence() -> None:
    assert ": ;" not in summary(comparison(complete=False))
