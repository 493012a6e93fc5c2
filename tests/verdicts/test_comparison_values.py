"""The JSON of a comparison: a schema that programs can rely on."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from optbench.reporting.comparison_text import without_infinities
from optbench.verdicts.comparison import (
    SCHEMA,
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
from optbench.verdicts.comparison_json import NotAComparison, read_comparison

ON_PROBLEM = OnProblem(
    "beale", "tuned", ConvergenceVerdict.REGRESSED, math.inf, 1.2, math.inf, 1e-6, 12, 0,
    (1e-3, 1e-2),
)  # fmt: skip
FULL = OptimizerComparison(
    "tinyopt:Adam",
    Maths(
        MathsVerdict.CHANGED,
        "differs",
        Difference("eps", 3, np.inf),
        scenarios=19,
        differing=("eps",),
    ),
    convergence=ConvergenceVerdict.REGRESSED,
    problems=(ON_PROBLEM,),
    speed=SpeedVerdict.SLOWER,
    memory=MemoryVerdict.LEAK,
    cost=Cost(
        step_ratio=1.3,
        low=1.2,
        high=math.inf,
        state_bytes_per_parameter=(8.0, 12.0),
        temporary_bytes_per_parameter=(0.0, 4.0),
        growth_bytes_per_step=(0.0, 64.0),
        sizes=(
            AtSize(10_000, SpeedVerdict.SLOWER, 1.3, 1.2, math.inf, (1e-3, 1.3e-3), 32),
            AtSize(5_000_000, SpeedVerdict.SAME, 1.0, 0.9, 1.1, (1e-3, 1e-3), 12, "gpt2"),
        ),
        counted=Counted(
            (5.0, 6.0),
            (8.0, 8.0),
            (9.0, 9.5),
            (InFunction("step", (5.0, 6.0), (8.0, 8.0), (9.0, 9.5)),),
        ),
    ),
    seconds=1.23456,
)
BARE = OptimizerComparison("tinyopt:SGD", Maths(MathsVerdict.IDENTICAL))
COMPARISON = Comparison(
    base=SideOfComparison("main", "a" * 40),
    head=SideOfComparison("working tree", "b" * 40, "1 uncommitted change"),
    rungs=("maths", "convergence", "speed", "memory"),
    optimizers=(FULL, BARE),
    only_in_base=("tinyopt:Old",),
    only_in_head=("tinyopt:New",),
    not_constructible=(Refusal("tinyopt:Odd", "on both sides: takes no parameters"),),
    environment={"torch": "2.4", "cpus": 2},
    seconds=9.87654,
)


def test_the_file_has_the_keys_of_its_schema() -> None:
    content = COMPARISON.as_json()
    assert content["schema"] == SCHEMA == 2
    for side in ("base", "head"):
        assert {"source", "commit"} <= set(content[side])
    assert set(content) >= {
        "schema", "base", "head", "environment", "seconds", "optimizers", "only_in_base",
        "only_in_head", "not_constructible", "complete", "rungs", "notes",
    }  # fmt: skip
    for row in content["optimizers"]:
        assert set(row) >= {
            "name", "maths", "first_difference", "convergence", "speed", "memory", "problems",
            "cost",
        }  # fmt: skip
        assert set(row["cost"]) >= {"step_ratio", "low", "high", "state_bytes_per_parameter"}
    (problem,) = content["optimizers"][0]["problems"]
    assert set(problem) >= {"problem", "league", "verdict", "ratio", "low", "high", "seeds"}
    assert set(content["optimizers"][0]["first_difference"]) == {"scenario", "step", "relative"}
    assert content["not_constructible"] == [
        {"name": "tinyopt:Odd", "reason": "on both sides: takes no parameters"}
    ]
    assert (content["only_in_base"], content["only_in_head"]) == (["tinyopt:Old"], ["tinyopt:New"])


def test_it_survives_a_journey_as_strict_json() -> None:
    text = json.dumps(without_infinities(COMPARISON.as_json()), allow_nan=False)
    back = json.loads(text)
    full, bare = back["optimizers"]
    assert (full["maths"], full["convergence"]) == ("changed", "regressed")
    assert (full["speed"], full["memory"]) == ("slower", "leak")
    assert full["first_difference"] == {"scenario": "eps", "step": 3, "relative": "inf"}
    (problem,) = full["problems"]
    assert (problem["verdict"], problem["ratio"], problem["low"]) == ("regressed", "inf", 1.2)
    assert problem["lr"] == [1e-3, 1e-2]
    assert full["cost"]["high"] == "inf"
    assert full["cost"]["sizes"][0]["verdict"] == "slower"
    assert full["cost"]["state_bytes_per_parameter"] == [8.0, 12.0]
    assert bare["maths"] == "identical"
    # A second journey changes nothing more.
    assert json.loads(json.dumps(without_infinities(back), allow_nan=False)) == back


def test_the_file_is_read_back_as_the_same_value() -> None:
    text = json.dumps(without_infinities(COMPARISON.as_json()), allow_nan=False)
    back = read_comparison(json.loads(text))
    rounded = replace(COMPARISON, seconds=9.88, optimizers=(replace(FULL, seconds=1.23), BARE))
    assert back == rounded
    assert back.as_json() == rounded.as_json()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "holds a list"),
        ({}, "its schema is None"),
        ({"schema": SCHEMA + 1, "optimizers": []}, f"its schema is {SCHEMA + 1}"),
        ({"schema": SCHEMA, "optimizers": {"a": 1}}, "no list of optimizers"),
        ({"schema": SCHEMA, "optimizers": []}, "base: Field required"),
        (COMPARISON.as_json() | {"optimizers": [{"name": "x", "maths": "odd"}]}, "maths.verdict"),
        (COMPARISON.as_json() | {"base": 7}, "base: "),
    ],
)
def test_what_is_no_comparison_is_refused_with_the_place(content: object, said: str) -> None:
    with pytest.raises(NotAComparison, match=said):
        read_comparison(content)


def test_what_was_not_climbed_is_null_and_not_a_word() -> None:
    row = json.loads(json.dumps(BARE.as_row(), allow_nan=False))
    for key in ("first_difference", "convergence", "speed", "memory"):
        assert row[key] is None
    assert row["problems"] == []
    assert row["cost"]["step_ratio"] is None
    assert row["cost"]["state_bytes_per_parameter"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, None),
        (np.float64("inf"), "inf"),
        (1.5, 1.5),
        (7, 7),
        (True, True),
        (None, None),
        ("inf", "inf"),
        ({"a": (math.inf, [math.nan, {"b": -math.inf}])}, {"a": ["inf", [None, {"b": "-inf"}]]}),
    ],
)
def test_infinities_are_words_and_nothing_else_is_touched(value: object, expected: object) -> None:
    found = without_infinities(value)
    assert found == expected
    assert type(found) in (type(expected), type(value))


def test_findings_are_the_words_that_are_true_of_it() -> None:
    assert FULL.findings == {"changed", "regressed", "slower", "leak"}
    assert BARE.findings == {"identical"}
    assert replace(BARE, speed=SpeedVerdict.INCONCLUSIVE).findings == {"identical", "inconclusive"}


def test_a_comparison_holds_no_more_than_it_was_given() -> None:
    """The file is a copy: what a program does to it does not reach the comparison."""
    content = COMPARISON.as_json()
    content["environment"]["torch"] = "0"
    content["optimizers"].clear()
    assert COMPARISON.environment["torch"] == "2.4"
    assert len(COMPARISON.as_json()["optimizers"]) == 2
    assert content["seconds"] == 9.88
