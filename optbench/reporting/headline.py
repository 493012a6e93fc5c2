"""The verdict: which optimizer, how sure that is, for what, and at what cost."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from optbench.reporting.material import Material
from optbench.reporting.numerals import interval, percent, ratio, significant
from optbench.reporting.rows import rows
from optbench.reporting.standings import Standing


def verdict(material: Material) -> list[str]:
    """Three sentences, drawn from the numbers."""
    if not material.standings:
        return ["No run can be scored: the page says what was run, and why nothing is compared."]
    one = material.main
    return [_which(one, material.baseline), _for_what(one), _at_what_cost(one, material)]


def _which(one: Standing, baseline: str) -> str:
    bases = one.areas[one.areas["optimizer"].isin(one.bases)].reset_index(drop=True)
    # Only who ran on all problems of the baseline can be first of all.
    whole = bases[bases["optimizer"].isin(one.alike)].reset_index(drop=True)
    first = whole.iloc[0]
    most = int(first["problems"])
    if not one.ends.max() > 0:
        return f"In the {one.name} league no optimizer reaches a target within the budget."
    said = (
        f"In the {one.name} league {first['optimizer']} reaches targets soonest, by an area of "
        f"{first['area']:.2f} {interval(first['low'], first['high'])} over {most} "
        f"problem{'s' * (most != 1)}"
    )
    if len(whole) == 1:
        return f"{said}; no other optimizer ran on all of them."
    close = [str(row.optimizer) for row in rows(whole.iloc[1:]) if row.high >= first["low"]]
    if close:
        said += f", an interval that overlaps with that of {_listed(close)}"
    elif first["low"] == first["low"]:
        said += ", above every other's interval"
    place = whole.index[whole["optimizer"] == baseline]
    if len(place) and place[0]:
        own = whole.iloc[place[0]]
        said += (
            f"; {baseline} ranks {place[0] + 1} of {len(whole)}, with an area of {own['area']:.2f} "
            f"{interval(own['low'], own['high'])}"
        )
    said += _at_the_end(one, whole)
    words = Counter(one.overall[one.overall["optimizer"].isin(whole["optimizer"])]["word"])
    if place.size and sum(words.values()):
        said += (
            f"; in pairs against {baseline}, of the {sum(words.values())} others that ran on the "
            f"same problems, {words['faster']} are faster, {words['slower']} slower, "
            f"{words['equivalent']} equivalent and {words['inconclusive']} inconclusive"
        )
    return said + "." + _over_problems(one, str(first["optimizer"]), baseline)


def _at_the_end(one: Standing, whole: pd.DataFrame) -> str:
    """Who has reached most when the budget is spent: not always who was soonest."""
    ends = one.ends.reindex(whole["optimizer"])
    most = ends[ends == ends.max()]
    first = str(whole["optimizer"].iloc[0])
    if first in most.index:
        share = percent(ends[first])
        return f"; at the end of the budget it has reached {share} of the targets, the most"
    return (
        f"; at the end of the budget {_listed([str(name) for name in most.index])} "
        f"{'have' if len(most) > 1 else 'has'} reached the most, {percent(ends.max())}, and "
        f"{first} {percent(ends[first])}"
    )


def _over_problems(one: Standing, first: str, baseline: str) -> str:
    """Return what ranks over problems allow to conclude, where there are enough."""
    found = one.critical_difference
    mean = found.mean_ranks
    if not found.enough or first == baseline or not {first, baseline} <= set(mean.index):
        return ""
    apart = abs(float(mean[first] - mean[baseline])) >= found.difference
    return (
        f" By ranks over problems, {first} and {baseline} "
        f"{'differ' if apart else 'do not differ significantly'} (Nemenyi's test)."
    )


def _for_what(one: Standing) -> str:
    """Return the first of each family, and whether it stands alone."""
    bases = one.by_family
    said = []
    for family, part in bases.groupby("family"):
        first = part.iloc[0]
        if not first["area"] > 0:
            said.append(f"none on {family} problems")
            continue
        close = part.iloc[1:]
        near = int((close["high"] >= first["low"]).sum())
        sure = "" if first["low"] == first["low"] else " (one seed)"
        shared = f" (intervals overlap with {near} more)" if near else sure
        said.append(f"{first['optimizer']} on {family} problems{shared}")
    if len(said) == 1:
        return f"All problems are of one family: {said[0]}."
    return f"For what, by the largest area: {_joined(said)}."


def _at_what_cost(one: Standing, material: Material) -> str:
    table = one.summary.set_index("optimizer")
    first = str(one.alike[0])
    baseline = material.baseline
    cost = float(table.loc[first, "seconds_ratio"])
    parts = []
    if baseline in table.index and cost == cost and first != baseline:
        parts.append(f"a step of {first} takes {ratio(cost)} the time of a step of {baseline}")
    states = [
        f"{significant(float(table.loc[name, 'state_bytes']))} ({name})"
        for name in dict.fromkeys((first, baseline))
        if name in table.index and table.loc[name, "state_bytes"] == table.loc[name, "state_bytes"]
    ]
    if states:
        parts.append(f"optimizer state per parameter: {_joined(states)} bytes")
    if len(material.standings) > 1:
        parts.append(_tuning(material))
    text = "; ".join(part for part in parts if part)
    return f"At what cost: {text}." if text else "Costs were not measured."


def _tuning(material: Material) -> str:
    """Return the median gain by tuning over optimizers."""
    names = set.intersection(*(set(one.alike) for one in material.standings))
    pairs = [
        pd.MultiIndex.from_frame(one.ground[["optimizer", "problem"]]).unique()
        for one in material.standings
    ]
    # Of the same problems: what was tuned on the hard ones alone is not worse for it.
    common = pairs[0].intersection(pairs[1])
    default, tuned = (one.areas_on(common, material.results.targets) for one in material.standings)
    both = pd.DataFrame({"default": default, "tuned": tuned}).dropna()
    both = both[both.index.isin(names)]
    if both.empty:
        return ""
    text = (
        f"tuning the learning rate takes the median optimizer's area from "
        f"{both['default'].median():.2f} to {both['tuned'].median():.2f}"
    )
    if material.baseline in both.index:
        own = both.loc[material.baseline]
        text += f", that of {material.baseline} from {own['default']:.2f} to {own['tuned']:.2f}"
    return text


def _listed(names: list[str], most: int = 4) -> str:
    if len(names) <= most:
        return _joined(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
