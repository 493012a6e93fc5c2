"""Stationary gap by learning rate: measured points beside the lines of theory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from optbench.reporting import style
from optbench.reporting.edge_labels import End, edge_labels, place
from optbench.reporting.rows import by
from optbench.reporting.style import Looks

WIDTH, HEIGHT, LEFT, RIGHT, HEAD, FOOT = 10.0, 4.4, 0.68, 1.75, 0.3, 0.48


def noise(measured: pd.DataFrame, theory: pd.DataFrame, looks: Looks) -> Figure:
    """One axes, both logarithmic; points without a theory are joined by a thin line.

    Parameters
    ----------
    measured : DataFrame
        Of `analysis.stationary_gap`, one row an optimizer and rate: ``optimizer``, ``lr``,
        ``gap``, ``low``, ``high`` (NaN where there is no interval), ``settled`` (else hollow).
        What is not positive and finite is not drawn.
    theory : DataFrame
        ``optimizer``, ``lr``, ``gap``: a line an optimizer.
    looks : mapping
        Of every optimizer in either.
    """
    positive = np.isfinite(measured["gap"]) & (measured["gap"] > 0) & (measured["lr"] > 0)
    known = measured[positive].sort_values(["optimizer", "lr"])
    lines = theory[np.isfinite(theory["gap"]) & (theory["gap"] > 0)]
    lines = lines.sort_values(["optimizer", "lr"])
    with style.drawing():
        figure, ax = style.framed(WIDTH, HEIGHT, left=LEFT, right=RIGHT, head=HEAD, foot=FOOT)
        ax.set_xlabel("learning rate")
        ax.set_ylabel("mean gap, last quarter of the budget")
        if known.empty:
            ax.text(0.5, 0.5, "nothing measured", transform=ax.transAxes, ha="center",
                    color=style.FAINT)  # fmt: skip
            return figure
        low, high = float(known["gap"].min()) / 2, float(known["gap"].max()) * 2
        left, right = float(known["lr"].min()) / 1.4, float(known["lr"].max()) * 1.4
        style.log_axis(ax, "x", left, right, most=9)
        style.log_axis(ax, "y", low, high, most=9)
        of_theory = by(lines, "optimizer")
        ends = []
        for name, one in by(known, "optimizer").items():
            look = looks[name]
            curve = of_theory.get(name)
            if curve is not None:
                drawn = ax.plot(curve["lr"], curve["gap"], color=look.color, linestyle=look.dash,
                                linewidth=1.5)  # fmt: skip
            else:
                drawn = ax.plot(one["lr"], one["gap"], color=look.color, linestyle=look.dash,
                                linewidth=0.5)  # fmt: skip
            # One line for all intervals, broken between them.
            ends_of = np.column_stack(
                [one["low"].clip(lower=low / 10), one["high"], np.full(len(one), np.nan)]
            )
            drawn += ax.plot(np.repeat(one["lr"].to_numpy(), 3), ends_of.ravel(), color=look.color,
                             linewidth=1.0)  # fmt: skip
            settled = one["settled"].to_numpy(dtype=bool)
            for part, face in ((one[settled], look.color), (one[~settled], "white")):
                drawn += ax.plot(part["lr"], part["gap"], color=look.color, linestyle="",
                                 marker=look.marker, markersize=5, markerfacecolor=face,
                                 markeredgewidth=1.0)  # fmt: skip
            for artist in drawn:
                style.mark(artist, name)
            last = one.iloc[-1]
            across = place(float(last["lr"]), left, right)
            ends.append(End(name, place(float(last["gap"]), low, high), at=across))
        edge_labels(ax, ends, looks)
        ax.text(0.0, 1.0, "thick line: theory;  hollow: not yet stationary", va="bottom",
                transform=ax.transAxes, fontsize=7, color=style.FAINT)  # fmt: skip
    return figure
