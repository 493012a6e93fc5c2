"""The baseline against each, in pairs of equal start and data order."""

from __future__ import annotations

from collections import Counter

from optbench.reporting.figure_forest import by_problem, forest
from optbench.reporting.material import Material
from optbench.reporting.numerals import interval, ratio
from optbench.reporting.section import Part, Plot, Section
from optbench.reporting.standings import Standing

PANELS = 4
"""Optimizers whose ratios are drawn problem by problem."""

OVERALL = (
    "The median, over all pairs of runs that share problem and seed, of the optimizer's gradient "
    "evaluations to the target by those of {baseline}: left of 1 it is faster. The bar is an exact "
    "95 % interval (order statistics of the sign test), which takes runs that do not arrive as "
    "infinite; an arrow is an open end. Within the grey band, 5 % on either side, two are called "
    "equivalent. Pairs in which neither arrives say nothing, and are not counted."
)


def against(material: Material) -> Section | None:
    """Overall, and by problem for a few."""
    baseline = material.baseline
    parts: list[Part] = []
    for one in reversed(material.standings):
        overall = one.overall[one.overall["optimizer"].isin(one.bases)].reset_index(drop=True)
        if overall.empty:
            continue
        parts.append(
            Plot(
                f"against-{one.name}",
                f"{baseline} against each, {one.name} league",
                OVERALL.format(baseline=baseline),
                _counted(one, baseline),
                f"Forest plot of median ratios of steps to target by those of {baseline} for "
                f"{len(overall)} optimizers, {one.name} league.",
                forest(overall, material.looks, baseline),
                one.pairs,
            )
        )
    if not parts:
        return None
    one = material.main
    few = [name for name in material.colored if name != baseline][:PANELS]
    on_each = one.pairs[(one.pairs["problem"] != "").to_numpy(dtype=bool)]
    if few and len(on_each):
        problems = material.problems_of(on_each)["problem"].astype(str).tolist()
        shown = on_each[on_each["optimizer"].isin(few)]
        parts.append(
            Plot(
                "against-by-problem",
                f"{baseline} against the best, by problem ({one.name} league)",
                "As above, problem by problem, for the optimizers with the largest areas. One "
                "interval in twenty is wrong by chance, and there are many: a single one that "
                "just misses 1 is no finding.",
                _by_problem(shown, few, baseline),
                f"Ratios of steps to target by those of {baseline} on {len(problems)} problems.",
                by_problem(on_each, problems, few, material.looks, baseline),
                shown,
            )
        )
    return Section("against", f"{baseline} against each", tuple(parts), f"{baseline} against each")


def _counted(one: Standing, baseline: str) -> str:
    rows = one.overall[one.overall["optimizer"].isin(one.bases)]
    words = Counter(rows["word"])
    said = [f"{words[w]} {w}" for w in ("faster", "slower", "equivalent", "inconclusive")]
    text = f"Of {len(rows)} alternatives to {baseline}: {', '.join(said)}."
    quick = rows[(rows["word"] == "faster").to_numpy(dtype=bool)].sort_values("ratio")
    if len(quick):
        first = quick.iloc[0]
        ahead = int((quick["ratio"] == first["ratio"]).sum())
        if first["ratio"] == 0:
            names = ", ".join(str(name) for name in quick["optimizer"].head(ahead))
            text += f" In the median pair {baseline} does not arrive, and these do: {names}."
        else:
            text += (
                f" The fastest, {first['optimizer']}, takes {ratio(first['ratio'])} the "
                f"evaluations {interval(first['low'], first['high'])} and wins "
                f"{int(first['won'])} of {int(first['pairs'])} pairs."
            )
    return text


def _by_problem(shown: object, few: list[str], baseline: str) -> str:
    said = []
    for name in few:
        part = shown[shown["optimizer"] == name]  # type: ignore[index]
        words = Counter(part["word"])
        said.append(f"{name} is faster on {words['faster']} and slower on {words['slower']}")
    return f"Of the problems, against {baseline}: {'; '.join(said)}; the others are open."
