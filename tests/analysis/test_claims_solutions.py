"""Claims about what a method is, or where it ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_evidence import ANSWER, BY_NAME, evidence, judge, ran

from optbench.analysis.claims import Verdict


def answers(name: str, holds: bool) -> pd.DataFrame:
    rows = [(name, f"setting {i}", 1.0, 1.0, holds or i > 0, "so", "who") for i in range(3)]
    return pd.DataFrame(rows, columns=ANSWER)


FRAMES = [ran("adam", "quadratic", [1.0] * 10)]


@pytest.mark.parametrize(
    ("claim", "answer", "holds", "verdict"),
    [
        ("adam-parallel", "adam-shards", True, Verdict.SUPPORTED),
        ("adam-parallel", "adam-shards", False, Verdict.REFUTED),
        ("adam-begins-with-sgd", "adam-first-step", True, Verdict.REFUTED),
        ("adam-begins-with-sgd", "adam-first-step", False, Verdict.INCONCLUSIVE),
    ],
)
def test_known_answers_decide(claim: str, answer: str, holds: bool, verdict: Verdict) -> None:
    assert judge(claim, FRAMES, answers=answers(answer, holds)).verdict is verdict
    # Another known answer says nothing of it, and none is no answer.
    for none in (answers("other", holds), None):
        found = judge(claim, FRAMES, answers=none)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert answer in found.text


# Wilson.

METHODS = ("sgd", "adam", "rmsprop", "adagrad")


def wilson(error: dict[str, float], fits: dict[str, bool] | None = None) -> tuple[Verdict, str]:
    fits = fits or {}
    frames = [ran(o, "wilson", [50.0 if fits.get(o, True) else np.nan] * 4) for o in METHODS]
    runs = evidence(frames).results.runs
    ends = runs["optimizer"].map(error)
    traces = pd.concat(
        pd.DataFrame({"run": runs["run"], "metric": metric, "step": step, "value": value})
        # The error of the way there does not count, nor any other metric.
        for metric, step, value in (
            *(("error_rate", 0, 1.0 - ends), ("error_rate", 1000, ends)),
            ("gap", 1000, 0.9),
        )
    )
    found = BY_NAME["adaptive-choose-worse"].judge(evidence(frames, traces=traces))
    return found.verdict, found.text


def test_wilson() -> None:
    worse = {"sgd": 0.0, "adam": 0.375, "rmsprop": 0.375, "adagrad": 0.3}
    assert wilson(worse)[0] is Verdict.SUPPORTED
    assert wilson(dict.fromkeys(METHODS, 0.2))[0] is Verdict.REFUTED
    assert wilson({**worse, "sgd": 0.4})[0] is Verdict.REFUTED
    assert wilson({**worse, "adagrad": 0.0})[0] is Verdict.INCONCLUSIVE


def test_wilson_takes_only_those_that_fit() -> None:
    worse = {"sgd": 0.0, "adam": 0.375, "rmsprop": 0.375, "adagrad": 0.3}
    verdict, text = wilson(worse, {"sgd": False})
    assert verdict is Verdict.INCONCLUSIVE
    assert "-o sgd -p wilson" in text


# Reddi.


def reddi(adam: int, amsgrad: int, seeds: int = 10) -> tuple[Verdict, str]:
    """So many seeds end at the minimum, from the first on."""
    frames = [
        ran(o, "reddi", [10.0] * seeds, final_gap=np.where(np.arange(seeds) < count, 0.01, 2.0))
        for o, count in (("adam", adam), ("amsgrad", amsgrad))
    ]
    found = judge("amsgrad-repairs-adam", frames)
    return found.verdict, found.text


@pytest.mark.parametrize(
    ("adam", "amsgrad", "seeds", "verdict"),
    [
        (0, 10, 10, Verdict.SUPPORTED),
        (4, 10, 10, Verdict.SUPPORTED),  # six for it, none against: p = 0.03
        (5, 10, 10, Verdict.INCONCLUSIVE),  # five: p = 0.06
        (10, 10, 10, Verdict.REFUTED),  # nothing to repair
        (0, 1, 10, Verdict.REFUTED),
        (0, 5, 10, Verdict.INCONCLUSIVE),
        (0, 4, 4, Verdict.INCONCLUSIVE),
        (10, 0, 10, Verdict.REFUTED),
    ],
)
def test_reddi(adam: int, amsgrad: int, seeds: int, verdict: Verdict) -> None:
    assert reddi(adam, amsgrad, seeds)[0] is verdict


def test_reddi_looks_at_the_end_and_not_at_the_first_visit() -> None:
    """All runs above were at the target once, at step 10."""
    assert "0 of 10 seeds" in reddi(0, 10)[1]


def test_a_diverged_run_ends_nowhere() -> None:
    frames = [
        ran("adam", "reddi", [10.0] * 10, final_gap=2.0),
        ran("amsgrad", "reddi", [10.0] * 10, final_gap=0.01, status="diverged"),
    ]
    assert judge("amsgrad-repairs-adam", frames).verdict is Verdict.REFUTED
