"""What a claim is: a sentence people repeat, what decides it, and what the runs say of it."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pandas as pd

from optbench.analysis.leagues import League
from optbench.analysis.paired import MedianRatio
from optbench.analysis.results import Results


class Verdict(enum.StrEnum):
    """What the runs say of a claim."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"

    @classmethod
    def of(cls, supported: object, refuted: object) -> Verdict:
        """Return the verdict of a rule that supports a claim and, where it does not, of another."""
        if supported:
            return cls.SUPPORTED
        return cls.REFUTED if refuted else cls.INCONCLUSIVE


@dataclass(frozen=True)
class Evidence:
    """All that a claim may be decided on.

    Attributes
    ----------
    results : Results
        Of `comparable`: every run, those with a learning-rate schedule too.
    default, tuned : League
        Of these results.
    answers : DataFrame
        One row a measurement of a known answer: ``name``, ``setting``, ``expected``,
        ``measured``, ``holds``, ``statement``, ``cite``. May be empty: they are measured by the
        caller, for the analysis knows frames only.
    """

    results: Results
    default: League
    tuned: League
    answers: pd.DataFrame


@dataclass(frozen=True)
class Finding:
    """What came of a claim.

    Attributes
    ----------
    verdict : Verdict
    text : str
        One or two sentences with the numbers.
    effect, low, high : float or None
        The effect and its 95 % interval (the confidence that ``unit`` names where it is another);
        None where the claim has no one number. May be 0 or infinite: a side that never arrives.
    unit : str
        What the effect is, as ``median steps of adam / sgd``. An effect whose unit has a `` / `` is
        a ratio: 1 is no difference.
    detail : DataFrame
        What went into it, one row a question.
    runs : int
        How many runs were looked at.
    """

    verdict: Verdict
    text: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    detail: pd.DataFrame = field(default_factory=pd.DataFrame)
    runs: int = 0

    @classmethod
    def of_ratio(
        cls, verdict: Verdict, text: str, found: MedianRatio, unit: str, detail: pd.DataFrame,
        runs: int,
    ) -> Finding:  # fmt: skip
        """Return a finding whose effect is a ratio; none where in no pair either side arrives."""
        if not found.pairs:
            return cls(verdict, text, unit=unit, detail=detail, runs=runs)
        return cls(verdict, text, found.ratio, found.low, found.high, unit, detail, runs)


class Undecided(LookupError):
    """What would decide a claim is not there; the text says what, and how to get it."""


@dataclass(frozen=True)
class Claim:
    """A row of the table of claims.

    Attributes
    ----------
    name : str
        In kebab case.
    words : str
        The claim in its own words.
    source : str
        Who says it.
    group : str
        ``folklore``, of a widely read tutorial, or ``literature``.
    needs : str
        The runs that it takes, in a sentence.
    statistic : str
        What decides, and what would refute it, in a sentence or two. Written before the data were
        looked at.
    decide : callable
        From the evidence to a finding. It looks at the optimizers and problems that ``needs``
        names and at no other: what else is in a store changes nothing. Raises `Undecided` where
        those lack.
    """

    name: str
    words: str
    source: str
    group: str
    needs: str
    statistic: str
    decide: Callable[[Evidence], Finding]

    def judge(self, evidence: Evidence) -> Finding:
        """Evaluate the claim; inconclusive, with a command, where runs are missing."""
        try:
            found = self.decide(evidence)
        except Undecided as missing:
            return Finding(Verdict.INCONCLUSIVE, str(missing))
        unknown = found.effect is None or math.isnan(found.effect)
        return replace(found, effect=None, low=None, high=None) if unknown else found
