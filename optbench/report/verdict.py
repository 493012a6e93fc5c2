"""The verdict: which optimizer, how sure that is, for what, and at what cost."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from optbench.report.material import Material
from optbench.report.numerals import interval, ratio, significant
from optbench.report.rows import rows
from optbench.report.standings import Standing


def verdict(material: Material) -> list[str]:
    """Three sentences, drawn from the numbers."""
    if not material.standings:
        return ["No run can be scored: the page says what was run, and why nothing is compared."]
    one = material.main
    return [_which(one, material.baseline), _for_what(one), _at_what_cost(one, material)]


def _which(one: Standing, baseline: str) -> str:
    bases = one.areas[one.areas["optimizer"].isin(one.bases)].reset_index(drop=True)
    # Only who ran on all problems of the baseline can be first of all.
    whole = bases[bases["optimizer"].isin(one.alike(baseline))].reset_index(drop=True)
    first = whole.iloc[0]
    most = int(first["problems"])
    if not first["area"] > 0:
        return f"In the {one.name} league no optimizer reaches a target within the budget."
    said = (
        f"In the {one.name} league {first['optimizer']} attains most within the budget, an area "
        f"of {first['area']:.2f} {interval(first['low'], first['high'])} over {_problems(most)}"
    )
    if len(whole) == 1:
        return f"{said}; nobody else ran on all of them."
    close = [str(row.optimizer) for row in rows(whole.iloc[1:]) if row.high >= first["low"]]
    if close:
        said += f", an interval that it shares with {_listed(close)}"
    elif first["low"] == first["low"]:
        said += ", above every other's interval"
    place = whole.index[whole["optimizer"] == baseline]
    if len(place) and place[0]:
        own = whole.iloc[place[0]]
        said += (
            f"; {baseline} is number {place[0] + 1} of {len(whole)} with {own['area']:.2f} "
            f"{interval(own['low'], own['high'])}"
        )
    words = Counter(one.overall[one.overall["optimizer"].isin(one.bases)]["word"])
    if place.size and sum(words.values()):
        said += (
            f", and in pairs against it {words['faster']} are faster, {words['slower']} slower, "
            f"{words['equivalent']} equivalent and {words['inconclusive']} inconclusive"
        )
    return said + "."


def _for_what(one: Standing) -> str:
    """The first of each family, and whether it stands alone."""
    bases = one.families[one.families["optimizer"].isin(one.bases)]
    said = []
    for family, part in bases.groupby("family"):
        first = part.iloc[0]
        if not first["area"] > 0:
            said.append(f"nobody on {family}")
            continue
        close = part.iloc[1:]
        near = int((close["high"] >= first["low"]).sum())
        sure = "" if first["low"] == first["low"] else " (one seed)"
        shared = f" (with {near} as good)" if near else sure
        said.append(f"{first['optimizer']} on {family} problems{shared}")
    if len(said) == 1:
        return f"All problems are of one family: {said[0]}."
    return f"For what: the largest area has {_joined(said)}."


def _at_what_cost(one: Standing, material: Material) -> str:
    table = one.summary.set_index("optimizer")
    first = str(one.bases[0])
    baseline = material.baseline
    cost = float(table.loc[first, "seconds_ratio"])
    parts = []
    if baseline in table.index and cost == cost and first != baseline:
        parts.append(f"a step of {first} takes {ratio(cost)} the time of one of {baseline}")
    states = [
        f"{name} {significant(float(table.loc[name, 'state_bytes']))}"
        for name in dict.fromkeys((first, baseline))
        if name in table.index and table.loc[name, "state_bytes"] == table.loc[name, "state_bytes"]
    ]
    if states:
        parts.append(f"the state is {_joined(states)} bytes a parameter")
    if len(material.standings) > 1:
        parts.append(_tuning(material))
    text = "; ".join(part for part in parts if part)
    return f"At what cost: {text}." if text else "Costs were not measured."


def _tuning(material: Material) -> str:
    """What the tuning brought, in the median over optimizers."""
    default, tuned = (
        one.areas[one.areas["optimizer"].isin(one.bases)].set_index("optimizer")["area"]
        for one in material.standings
    )
    both = pd.DataFrame({"default": default, "tuned": tuned}).dropna()
    if both.empty:
        return ""
    text = (
        f"tuning the learning rate raises the median optimizer's area from "
        f"{both['default'].median():.2f} to {both['tuned'].median():.2f}"
    )
    if material.baseline in both.index:
        own = both.loc[material.baseline]
        text += f", that of {material.baseline} from {own['default']:.2f} to {own['tuned']:.2f}"
    return text


def _problems(count: int) -> str:
    return f"{count} problem{'s' * (count != 1)}"


def _listed(names: list[str], most: int = 4) -> str:
    if len(names) <= most:
        return _joined(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
