"""Two things timed in turns: what slows the machine slows both, and is not in their ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Timed = Callable[[], float]
"""Gives seconds."""

ROUNDS = 12

BLOCK_S = 0.02
"""Seconds of steps in a turn, about; the quickest of them counts."""


def turns(ours: Timed, reference: Timed, rounds: int = ROUNDS) -> Iterator[float]:
    """Seconds of ours by those of the reference, before and after it: a ratio a round."""
    before = reference()
    for _ in range(rounds):
        seconds = ours()
        after = reference()
        yield seconds / ((before + after) / 2)
        before = after


def blocks(time: Callable[[int], float]) -> Timed:
    """Blocks of about `BLOCK_S` of what gives the seconds of its quickest step of so many."""
    steps = max(3, min(2000, round(BLOCK_S / max(time(3), 1e-7))))
    return lambda: time(steps)
