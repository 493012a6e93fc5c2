"""Settings to try an optimizer under: implementations, switches and numbers, each pair together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from optbench.scenarios.relations import Over
from optbench.scenarios.subject import Subject

MOST = 16
"""Number of combinations that are tried at most."""


def settings_over(subject: Subject, over: Over) -> list[Mapping[str, Any]]:
    """Return the settings that a relation is held under, the defaults first."""
    # A line search takes hundreds of evaluations a step.
    if over is Over.DEFAULTS or subject.wants.evaluates_the_loss:
        return [{}]
    if over not in subject.settings_over:
        ways = implementations(subject)
        subject.settings_over[over] = (
            ways if over is Over.IMPLEMENTATIONS else pairwise(subject, ways)
        )
    found: list[Mapping[str, Any]] = subject.settings_over[over]
    return found


def implementations(subject: Subject) -> list[Mapping[str, Any]]:
    """Return the default and each other implementation that is offered here."""
    ways: list[Mapping[str, Any]] = [{}]
    if subject.asks_for:
        return ways
    for way in ("foreach", "fused"):
        if subject.takes(way) and subject.accepts({way: True}):
            ways.append({way: True})
    return ways


def pairwise(
    subject: Subject, ways: Sequence[Mapping[str, Any]], most: int = MOST
) -> list[Mapping[str, Any]]:
    """Return few settings in which any two choices stand together at least once.

    A choice is an implementation, or another value for a hyperparameter. Chosen greedily: each
    combination takes in what covers the most new pairs; those that the constructor refuses are
    left out.
    """
    factors: list[list[Mapping[str, Any]]] = [list(ways)]
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for variant in subject.variants:
        by_name.setdefault([*variant][-1], [{}]).append(variant)
    # One other value of each is enough in company: `Subject.variants` tries all of them alone.
    factors += [options[:2] for options in by_name.values()]
    choices = [(f, c) for f, options in enumerate(factors) for c in range(len(options))]
    uncovered = {
        frozenset(pair) for pair in itertools.combinations(choices, 2) if pair[0][0] != pair[1][0]
    }
    found: list[Mapping[str, Any]] = []
    picked = dict.fromkeys(range(len(factors)), 0)
    while len(found) < most:
        settings = _merged(factors, picked)
        if settings is not None and settings not in found and subject.accepts(settings):
            found.append(settings)
        uncovered -= set(map(frozenset, itertools.combinations(picked.items(), 2)))
        if not uncovered:
            break
        picked = _next(factors, uncovered)
    return found


def _next(factors: Sequence[Sequence[Any]], uncovered: set[frozenset[Any]]) -> dict[int, int]:
    """Begin with a pair that is not covered, and add what covers the most further ones."""
    picked: dict[int, int] = dict(min(map(sorted, uncovered)))
    for factor, options in enumerate(factors):
        if factor in picked:
            continue
        gains = [
            sum(frozenset({(factor, choice), other}) in uncovered for other in picked.items())
            for choice in range(len(options))
        ]
        picked[factor] = gains.index(max(gains))
    return picked


def _merged(
    factors: Sequence[Sequence[Mapping[str, Any]]], picked: Mapping[int, int]
) -> Mapping[str, Any] | None:
    """Return the chosen settings as one; None where two of them want different values of one."""
    merged: dict[str, Any] = {}
    for factor, choice in picked.items():
        for name, value in factors[factor][choice].items():
            if name in merged and repr(merged[name]) != repr(value):
                return None
            merged[name] = value
    return merged
