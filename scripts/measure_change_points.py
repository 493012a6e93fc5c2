"""How often the change points of a history err: prints the table of docs/tracking.md.

    python scripts/measure_change_points.py [--series 500]

Log-normal series of four kinds: white noise of 2 % and of 5 %; AR(1) noise, rho 0.5, of the same
standard deviation; heavy tails, white noise of 2 % with one point in twenty 1.3 to 2 times slower.
Four questions of each kind:

- *one look*: series of 40 and of 10 commits with a step in the middle. Percent of the series with
  any step where there is none; with a step within three commits of the planted one, at its very
  commit, within one commit.
- *every night*: a history of 60 commits without any step, looked at after each commit from the 8th.
  Histories of 100 in which any night reports a step; in which any reports one upwards, which fails
  a night; a recent one upwards.
- *days*: a step after 20 commits, looked at after each commit. Percent found within one commit of
  the truth after 3 to 8, 10 and 15 points; taken back at least once.
- *7 + 3*: a step of 1.5x three commits ago after seven others. Percent found, and placed exactly.

Also how often the 99 % interval of the ratio, and the range of indices, hold the truth where a step
was found. Seeds are fixed. 500 series take ten to fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import numpy.typing as npt

from optbench.tracking.change_points import SHORTEST, Step, change_points

Floats = npt.NDArray[np.float64]

KINDS = {
    "white 2 %": (0.02, 0.0, 0.0),
    "white 5 %": (0.05, 0.0, 0.0),
    "correlated 2 %": (0.02, 0.5, 0.0),
    "correlated 5 %": (0.05, 0.5, 0.0),
    "heavy 2 %": (0.02, 0.0, 0.05),
}
"""Standard deviation, correlation, share of slow points."""

SIZES = (0.03, 0.05, 0.10, 0.50)
DAYS = (3, 4, 5, 6, 7, 8, 10, 15)


def noise(kind: str, n: int, generator: np.random.Generator) -> Floats:
    """Logarithms of a series without a step."""
    spread, rho, slow = KINDS[kind]
    logs = generator.normal(size=n)
    for i in range(1, n):
        logs[i] = rho * logs[i - 1] + math.sqrt(1 - rho**2) * logs[i]
    spikes = np.log(generator.uniform(1.3, 2.0, n)) * (generator.random(n) < slow)
    return np.asarray(spread * logs + spikes)


def planted(logs: Floats, at: int, size: float) -> Floats:
    """The series with a step."""
    return np.asarray(np.exp(logs + np.log1p(size) * (np.arange(len(logs)) >= at)))


def near(steps: tuple[Step, ...], at: int, within: int) -> Step | None:
    """The step nearest to a commit."""
    close = [s for s in steps if abs(s.index - at) <= within]
    return min(close, key=lambda s: abs(s.index - at), default=None)


def one_look(kind: str, commits: int, size: float, series: int) -> str:
    """Percent with any step, or found / exact / within one, and what the ranges cover."""
    generator = np.random.default_rng([1, commits])
    at = commits // 2
    alarms, found = 0, []
    for _ in range(series):
        steps = change_points(planted(noise(kind, commits, generator), at, size).tolist())
        alarms += bool(steps)
        step = near(steps, at, 3)
        if step is not None:
            found.append(step)
    if not size:
        return f"{100 * alarms / series:.1f}"
    counts = [100 * sum(abs(s.index - at) <= w for s in found) / series for w in (3, 0, 1)]
    text = " / ".join(f"{c:.0f}" for c in counts)
    if found:
        ratio = np.mean([s.low <= 1 + size <= s.high for s in found])
        place = np.mean([s.earliest <= at <= s.latest for s in found])
        width = np.median([s.latest - s.earliest + 1 for s in found])
        text += f" (ratio {100 * ratio:.0f}, place {100 * place:.0f} in {width:.0f})"
    return text


def every_night(kind: str, series: int) -> str:
    """Histories of 100 with a false alarm: any, upwards, recent and upwards; nights of these."""
    generator = np.random.default_rng(2)
    counts = np.zeros(3)
    nights = 0
    for _ in range(series):
        values = np.exp(noise(kind, 60, generator)).tolist()
        seen = np.zeros(3, dtype=bool)
        for n in range(SHORTEST, 61):
            steps = change_points(values[:n])
            up = [s for s in steps if s.ratio > 1]
            seen |= [bool(steps), bool(up), any(s.recent for s in up)]
            nights += bool(up)
        counts += seen
    text = " / ".join(f"{100 * c / series:.1f}" for c in counts)
    return f"{text} (nights with one upwards: {100 * nights / series / 53:.2f} %)"


def days(kind: str, size: float, series: int) -> str:
    """Percent found after so many points; percent taken back."""
    generator = np.random.default_rng(3)
    seen = np.zeros((series, 13), dtype=bool)
    for row in seen:
        values = planted(noise(kind, 35, generator), 20, size).tolist()
        for day in range(13):
            row[day] = near(change_points(values[: 23 + day]), 20, 1) is not None
    back = (seen[:, :-1] & ~seen[:, 1:]).any(axis=1)
    each = " ".join(f"{100 * seen[:, d - 3].mean():.0f}" for d in DAYS)
    return f"{each}, taken back {100 * back.mean():.0f}"


def seven_and_three(kind: str, series: int) -> str:
    """Percent found / placed exactly / with nothing else."""
    generator = np.random.default_rng(4)
    counts = np.zeros(3)
    for _ in range(series):
        steps = change_points(planted(noise(kind, 10, generator), 7, 0.5).tolist())
        exact = any(s.index == 7 for s in steps)
        counts += [bool(steps), exact, exact and len(steps) == 1]
    return " / ".join(f"{100 * c / series:.1f}" for c in counts)


def questions(series: int) -> list[tuple[str, Callable[..., str], tuple[object, ...]]]:
    """Label, what answers it, with which arguments."""
    asked: list[tuple[str, Callable[..., str], tuple[object, ...]]] = []
    for kind in KINDS:
        asked.append((f"{kind}: every night, any / up / recent up", every_night, (kind, series)))
        asked.append((f"{kind}: 7 + 3, found / exact / alone", seven_and_three, (kind, series)))
        for size in SIZES[1:]:
            label = f"{kind}: days {' '.join(map(str, DAYS))}, +{size:.0%}"
            asked.append((label, days, (kind, size, series)))
        for commits, size in product((40, 10), (0.0, *SIZES)):
            label = f"{kind}: {commits} commits, +{size:.0%}"
            asked.append((label, one_look, (kind, commits, size, series)))
    return asked


def main() -> None:
    """Print one line a cell, as they come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--series", type=int, default=500, help="series a cell")
    asked = questions(parser.parse_args().series)
    with ProcessPoolExecutor() as pool:
        answers = [pool.submit(ask, *arguments) for _, ask, arguments in asked]
        for (label, *_), answer in zip(asked, answers, strict=True):
            print(f"{label}: {answer.result()}", flush=True)


if __name__ == "__main__":
    main()
