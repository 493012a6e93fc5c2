"""Frames of a store that anybody may have written: of the right kinds, or refused.

SQLite keeps any value in any column, and a store travels: on a data branch, in a mail. What a
report or an export is made of is looked through once, here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from optbench.engine.runs import Status
from optbench.plain_text import shown, words
from optbench.store import address
from optbench.store.errors import StoreError
from optbench.store.store import Store

FRAMES = ("runs", "targets", "traces", "problems", "environments")

MOST_STEPS = 10**9
"""Gradient evaluations of a run, as `optbench.engine.plan.Selection` has it."""


class Number(NamedTuple):
    """What a column of numbers may hold: bounds, both inclusive, and whether it may lack some."""

    least: float = -math.inf
    most: float = math.inf
    empty: bool = False
    whole: bool = False


ANY = Number(empty=True)
AMOUNT = Number(0, 1e300, empty=True)
POSITIVE = Number(0, 1e300)
ID = Number(0, 2**62, whole=True)
COUNT = Number(0, 10**15, whole=True)
STEPS = Number(0, MOST_STEPS, whole=True)
BUDGET = Number(1, MOST_STEPS, whole=True)

NUMBERS: Mapping[str, Mapping[str, Number]] = {
    "runs": {
        **{"run": ID, "environment": ID, "seed": ID, "problem_version": COUNT, "dimension": COUNT},
        **{"lr": AMOUNT, "budget": BUDGET, "steps": STEPS, "initial_gap": ANY, "final_gap": ANY},
        **{"steps_to_target": Number(0, MOST_STEPS, empty=True), "seconds_per_step": AMOUNT},
        "state_bytes": AMOUNT,
    },
    "targets": {"run": ID, "target": POSITIVE, "step": Number(0, MOST_STEPS, empty=True)},
    "traces": {"run": ID, "step": STEPS, "value": ANY},
    "problems": {
        **{"problem_version": COUNT, "dimension": COUNT, "minimum": Number(-1e300, 1e300)},
        **{"target": POSITIVE, "budget": BUDGET},
    },
    "environments": {"environment": ID, "threads": COUNT},
}

TEXTS: Mapping[str, tuple[str, ...]] = {
    "runs": (
        *("optimizer", "base", "variant", "problem", "family", "data", "hyperparameters"),
        *("lr_schedule", "dtype", "device", "status", "code"),
    ),
    "targets": (),
    "traces": (),
    "problems": ("problem", "family", "data", "cite", "summary"),
    "environments": ("cpu", "os", "python", "torch", "numpy", "optbench", "device"),
}

MAY_LACK: Mapping[str, tuple[str, ...]] = {"runs": ("error", "commit"), "environments": ("commit",)}
"""Texts that a row need not have."""


def sound(store: Store, name: str) -> pd.DataFrame:
    """One of `FRAMES`, read and looked through.

    Raises
    ------
    StoreError
        With the first value that nothing of optbench's has written.
    """
    where = address.shown(store.url)
    try:
        frame: pd.DataFrame = getattr(store, name)()
    # JSON that is none, lists of other lengths, bytes that are no numbers.
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        raise StoreError(f"the {name} of {where} cannot be read: {words(error)}") from error
    try:
        for column, number in NUMBERS[name].items():
            frame[column] = _numbers(frame[column], number)
        for column in (*TEXTS[name], *MAY_LACK.get(name, ())):
            _require_text(frame[column], lacking=column in MAY_LACK.get(name, ()))
    except _Unsound as error:
        raise StoreError(f"the store {where} is damaged: its {name} hold {error}") from error
    if name == "runs":
        strange = set(frame["status"]) - {each.value for each in Status}
        if strange:
            raise StoreError(
                f"the store {where} is damaged: its runs hold the status {shown(min(strange))}"
            )
    return frame


class _Unsound(ValueError):
    """An invalid value; the text says which."""


def _numbers(column: pd.Series, number: Number) -> pd.Series:
    integers = pd.api.types.is_integer_dtype(column)
    if integers or (pd.api.types.is_float_dtype(column) and not number.whole):
        # Of tens of millions of a trace's values only the ends are looked at.
        inside = number.least <= column.min() and column.max() <= number.most
        if inside and (integers or number.empty or not column.isna().any()):
            return column
    if len(column) and not pd.api.types.is_numeric_dtype(column):
        for value in column:
            if not isinstance(value, int | float) and not (value is None and number.empty):
                raise _Unsound(f"{shown(value)} as {column.name}")
    try:
        read = pd.to_numeric(column).astype("float64")
    except (ValueError, TypeError, OverflowError) as error:
        raise _Unsound(f"what is not a number as {column.name}: {words(error)}") from error
    wrong = ~read.between(number.least, number.most)
    wrong &= read.notna() if number.empty else True
    if number.whole:
        wrong |= read % 1 != 0
    if wrong.any():
        raise _Unsound(f"{shown(column[wrong].tolist()[0])} as {column.name}")
    return column.astype("int64") if number.whole else read


def _require_text(column: pd.Series, *, lacking: bool) -> None:
    # A categorical is of texts where its categories are.
    values = column.dropna() if lacking else column
    if len(values) and pd.api.types.infer_dtype(values, skipna=False) != "string":
        wrong = next((each for each in values if not isinstance(each, str)), None)
        raise _Unsound(f"{shown(wrong)} as {column.name}")
