"""asv's results, read as the JSON that they are: asv's own modules promise no stable interface."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from optbench.analysis.units import EXACT, UNITS
from optbench.errors import OptbenchError
from optbench.plain_text import on_a_line, shown, words
from optbench.tracking.history import COLUMNS
from optbench.whole_files import read_whole

FORMAT = 2
"""Version of asv's result files, as asv 0.6 writes them."""

LEAST = 0.01
"""Smallest reported relative change of an exact (float64) metric."""

FULL_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

MOST_VALUES = 100_000
"""Of a benchmark, one a combination of its parameters. A few short lists of them name more
combinations than a machine has memory for."""

NOT_AS_ASV_HAS_IT = (
    TypeError,
    ValueError,
    KeyError,
    OverflowError,
    AttributeError,
    RecursionError,
)
"""Exceptions of reading a value that is not in asv's form."""

NOT_RESULTS = frozenset(("machine.json", "benchmarks.json"))


@dataclass(frozen=True)
class AsvResults:
    """What was found in a results folder.

    Attributes
    ----------
    values : DataFrame
        One row a value, with the columns of `optbench.tracking.history.COLUMNS`.
    skipped : tuple of (str, str)
        Files that were not read, each with the reason.
    """

    values: pd.DataFrame
    skipped: tuple[tuple[str, str], ...]


class NoResults(OptbenchError, ValueError):
    """A folder that holds no results of asv's; the text says what it is."""


class _Unreadable(ValueError):
    """A file that is no result; the text says why."""


def read_asv_results(folder: Path) -> AsvResults:
    """Every value in a results folder; a file that is damaged or foreign is named, not read.

    A value that is null failed, one that is NaN was skipped, and so it is kept, as ``failed`` and
    ``skipped``; an infinity is ``failed`` too, for nothing can be worse.

    Raises
    ------
    NoResults
        Where there is no such folder.
    """
    if not folder.is_dir():
        raise NoResults(f"there are no results of asv's in {folder}: no such folder")
    skipped: list[tuple[str, str]] = []
    declared: Mapping[str, Any] = {}
    index = folder / "benchmarks.json"
    if index.exists():
        try:
            declared = _mapping(index)
        except _Unreadable as error:
            skipped.append((index.name, str(error)))
    elif any(folder.glob("*/*-*.json")):
        skipped.append((index.name, "is missing: units are those of our own metrics alone"))
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*/*.json")):
        if path.name in NOT_RESULTS:
            continue
        try:
            rows += _rows(path, declared)
        except _Unreadable as error:
            skipped.append((on_a_line(str(path.relative_to(folder))), str(error)))
        except NOT_AS_ASV_HAS_IT as error:
            # Of another form than asv's, in a way that nobody thought of.
            reason = f"is of no form of asv's: {words(error)}"
            skipped.append((on_a_line(str(path.relative_to(folder))), reason))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return AsvResults(frame, tuple(skipped))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        # NaN and Infinity, which no JSON has and asv writes, are read as what they are.
        content = json.loads(read_whole(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _Unreadable(f"cannot be read: {words(error)}") from error
    if not isinstance(content, dict):
        raise _Unreadable(f"holds a {type(content).__name__}, not a mapping")
    return content


def _rows(path: Path, declared: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = _mapping(path)
    if content.get("version") != FORMAT:
        raise _Unreadable(f"has the format {shown(content.get('version'))}, not asv's {FORMAT}")
    commit, date = content.get("commit_hash"), content.get("date")
    if not isinstance(commit, str) or not FULL_HASH.fullmatch(commit):
        raise _Unreadable(f"has no commit: {shown(commit)}")
    results, columns = content.get("results"), content.get("result_columns")
    if not isinstance(results, dict) or not isinstance(columns, list):
        raise _Unreadable("has no results")
    if not isinstance(date, int | float) or not math.isfinite(date):
        raise _Unreadable(f"has no date: {shown(date)}")
    machine = content.get("params", {})
    label = machine.get("machine") if isinstance(machine, dict) else None
    if label != path.parent.name:
        raise _Unreadable(f"is of the machine {shown(label)}, and lies in the folder of another")
    # Made whole before any is given: half a file is no result.
    rows: list[dict[str, Any]] = []
    for name, fields in results.items():
        if fields is None:
            continue
        if not isinstance(fields, list):
            raise _Unreadable(f"{on_a_line(name)} holds no list")
        entry = dict(zip(columns, fields, strict=False))
        rows += _values(on_a_line(name), entry, declared.get(name, {}))
    where = {
        "source": "asv",
        "machine": on_a_line(str(label)),
        "environment": on_a_line(str(content.get("env_name", ""))),
        "commit": commit,
        "order": float(date),
    }
    yield from ({**where, **row} for row in rows)


def _values(name: str, entry: Mapping[str, Any], known: Any) -> Iterator[dict[str, Any]]:
    """Return the values of a benchmark, one a combination of parameters."""
    known = known if isinstance(known, dict) else {}
    params = entry.get("params") or []
    if not isinstance(params, list) or not all(isinstance(each, list) for each in params):
        raise _Unreadable(f"{name} has parameters that are no lists")
    count = math.prod(map(len, params))
    if count > MOST_VALUES:
        raise _Unreadable(f"{name} has parameters of more than {MOST_VALUES:,} combinations")
    combinations = list(itertools.product(*params))
    result = entry.get("result")
    values = [None] * len(combinations) if result is None else result
    if not isinstance(values, list) or len(values) != len(combinations):
        raise _Unreadable(f"{name} has other values than parameters")
    samples = entry.get("samples")
    samples = samples if isinstance(samples, list) else [None] * len(combinations)
    if len(samples) != len(combinations):
        raise _Unreadable(f"{name} has other samples than parameters")
    names = known.get("param_names") or []
    metric = name.rpartition(".")[2].removeprefix("track_")
    unit = on_a_line(str(known.get("unit", UNITS.get(metric, ""))))
    for combination, value, drawn in zip(combinations, values, samples, strict=True):
        told = [_told(each) for each in combination]
        called = [*(on_a_line(str(each)) for each in names), *(f"p{n}" for n in range(len(told)))]
        named = dict(zip(called, told, strict=False))
        number, status = _number(value, name)
        others = {k: v for k, v in named.items() if k not in ("optimizer", "problem")}
        yield {
            "benchmark": name,
            "metric": metric,
            "optimizer": named.get("optimizer", ""),
            "problem": named.get("problem", ""),
            "parameters": ", ".join(f"{k}={v}" for k, v in others.items()),
            "unit": unit,
            "exact": unit in EXACT,
            "least": LEAST,
            "version": on_a_line(str(entry.get("version", ""))),
            "value": number,
            "samples": _samples(drawn),
            "seeds": (),
            "status": status,
        }


def _number(value: Any, name: str) -> tuple[float, str]:
    if value is None:
        return math.nan, "failed"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unreadable(f"{name} has a value that is no number: {shown(value)}")
    if math.isnan(value):
        return math.nan, "skipped"
    return (float(value), "measured") if math.isfinite(value) else (math.nan, "failed")


def _samples(drawn: Any) -> tuple[float, ...]:
    """Return the samples of a value; none where they were not recorded, or are not all numbers."""
    if not isinstance(drawn, Sequence) or isinstance(drawn, str):
        return ()
    numbers = tuple(
        float(each) for each in drawn if isinstance(each, int | float) and math.isfinite(each)
    )
    return numbers if len(numbers) == len(drawn) else ()


def _told(parameter: Any) -> str:
    """Return a parameter as its author wrote it: asv keeps the ``repr``."""
    try:
        text = str(ast.literal_eval(parameter))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        text = str(parameter)
    return on_a_line(text)
