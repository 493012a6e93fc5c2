"""Frozen reference minima, for the problems whose minimum no formula gives.

`optbench.problems.find_minima` found them, once, and says how; they are versioned with the
problem and with the data, never derived from the runs at hand.
"""

from __future__ import annotations

import functools
import json
import os
from importlib import resources
from pathlib import Path

from optbench.problems.mnist import DATA_VARIABLE, DamagedData

FILE = "minima.json"


def frozen_minimum(problem: str, version: int, data: str) -> float:
    """Return the reference minimum of a problem's version on this data.

    Looked up in the package, then beside the user's own data.

    Raises
    ------
    DamagedData
        Where nobody has found it yet; the text names the command that does.
    """
    key = f"{problem}@{version}/{data}"
    minima = _shipped()
    folder = os.environ.get(DATA_VARIABLE)
    if key not in minima and folder:
        minima = _of_folder(Path(folder))
    if key not in minima:
        where = f" --to {folder}" if folder else ""
        raise DamagedData(
            f"no reference minimum is known for {key}; find it with: "
            f"python -m optbench.problems.find_minima {problem}{where}"
        )
    return minima[key]


@functools.cache
def _shipped() -> dict[str, float]:
    text = (resources.files("optbench.problems") / "data" / FILE).read_text("utf-8")
    return _parsed(text)


def _of_folder(folder: Path) -> dict[str, float]:
    path = folder / FILE
    return _parsed(path.read_text("utf-8")) if path.exists() else {}


def _parsed(text: str) -> dict[str, float]:
    return {key: float(entry["minimum"]) for key, entry in json.loads(text).items()}
