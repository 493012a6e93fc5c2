"""Numbers as a reader wants them."""

from __future__ import annotations

import math

MISSING = "—"
"""Stands where there is no number: a censored value is never filled in."""


def integer(value: float) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,.0f}" if math.isfinite(value) else MISSING


def significant(value: float, digits: int = 3) -> str:
    """Return a number to a few digits, in scientific form where it is very large or small."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        shown = f"{value:.{digits}g}"
        return f"{float(shown):,.0f}" if "e" in shown else shown
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def ratio(value: float) -> str:
    """1.234 as 1.23×; 0 and ∞, where one side never arrives, as they are."""
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "∞"
    return f"{value:.2f}×" if math.isfinite(value) else MISSING


def percent(value: float) -> str:
    """0.421 as 42 %."""
    return f"{100 * value:.0f} %" if math.isfinite(value) else MISSING


def spans(numbers: tuple[int, ...]) -> str:
    """(0, 1, 2, 3, 7) as 0–3, 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts)


def interval(low: float, high: float, decimals: int = 2) -> str:
    """[0.41, 0.52]; open ends as they are, a dash where there is none."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{_end(low, decimals)}, {_end(high, decimals)}]"


def _end(value: float, decimals: int) -> str:
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "∞"
    return f"{value:.{decimals}f}"
