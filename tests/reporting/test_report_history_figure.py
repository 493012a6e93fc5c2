import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from optbench.reporting import style
from optbench.reporting.figure_history import SERIES, history
from optbench.tracking.history import Kind

COMMITS = [f"{place:02d}cafe{place:034d}" for place in range(30)]


def series(optimizer: str, values: list[float], **more: object) -> pd.DataFrame:
    key = dict.fromkeys(SERIES, "") | {"metric": "step", "unit": "s", "optimizer": optimizer}
    frame = pd.DataFrame({"commit": COMMITS[: len(values)], "value": values})
    return frame.assign(
        **key | {"version": "1", "status": "measured"} | more, place=range(len(values))
    )


def change(optimizer: str, place: int, kind: Kind, ratio: float) -> dict[str, object]:
    key = dict.fromkeys(SERIES, "") | {"metric": "step", "optimizer": optimizer}
    return key | {
        "kind": kind, "likely": COMMITS[place], "commit": COMMITS[place + 1], "ratio": ratio,
    }  # fmt: skip


def curves(ax: Axes) -> list[list[list[float]]]:
    return [
        np.asarray(one.get_xydata()).tolist() for one in ax.get_lines()
        if to_hex(str(one.get_color())) == style.FAINT and len(np.asarray(one.get_xdata()))
    ]  # fmt: skip


def steps(ax: Axes) -> list[tuple[float, str]]:
    """Upright lines: where and of which colour."""
    return [
        (float(np.asarray(one.get_xdata())[0]), to_hex(str(one.get_color())))
        for one in ax.get_lines()
        if len(np.asarray(one.get_xdata())) == 2 and one.get_linestyle() == "--"
    ]


VALUES = pd.concat(
    [series("sgd", [1.0] * 15 + [2.0] * 15), series("adam", [3.0] * 30, problem="bowl")]
)
CHANGES = pd.DataFrame(
    [
        change("sgd", 15, Kind.REGRESSED, 2.0),
        change("sgd", 5, Kind.IMPROVED, 0.5),
        change("other", 7, Kind.REGRESSED, 9.0),
    ]
)


def test_one_axes_a_series_in_the_order_given_with_its_values_by_commit() -> None:
    figure = history(VALUES, CHANGES)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["sgd", "adam, bowl"]
    assert [ax.get_gid() for ax in figure.axes] == [None, "p:bowl"]
    assert curves(figure.axes[0]) == [[[p, 1.0 if p < 15 else 2.0] for p in range(30)]]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_a_change_stands_before_its_commit_with_its_size_red_where_for_the_worse() -> None:
    one, other = history(VALUES, CHANGES).axes
    assert steps(one) == [(14.5, style.RED), (4.5, style.BLUE)]
    assert steps(other) == []
    assert {text.get_text().strip() for text in one.texts} >= {"×2", "×0.5"}
    ticks = {float(tick): label.get_text() for tick, label in
             zip(one.get_xticks(), one.get_xticklabels(), strict=True)}  # fmt: skip
    assert ticks == {5: COMMITS[5][:7], 15: COMMITS[15][:7], 29: COMMITS[29][:7]}


def test_a_failure_is_a_cross_and_its_change_has_no_number() -> None:
    failing = series("sgd", [1.0] * 20)
    failing.loc[failing["place"] >= 18, ["status", "value"]] = ["failed", math.nan]
    (ax,) = history(failing, pd.DataFrame([change("sgd", 18, Kind.FAILS, math.nan)])).axes
    crosses = [np.asarray(one.get_xdata()).tolist() for one in ax.get_lines()
               if one.get_marker() == "x"]  # fmt: skip
    assert crosses == [[18, 19]]
    assert "fails" in [text.get_text().strip() for text in ax.texts]
    assert len(curves(ax)[0]) == 18


def test_values_of_two_versions_are_not_joined() -> None:
    versions = ["1"] * 10 + ["2"] * 5
    found = curves(history(series("sgd", [1.0] * 15, version=versions), pd.DataFrame()).axes[0])
    assert [len(part) for part in found] == [10, 5]


def test_noise_of_a_percent_does_not_fill_the_axis() -> None:
    (ax,) = history(series("sgd", [100.0, 101.0] * 10), pd.DataFrame()).axes
    low, high = ax.get_ylim()
    assert high - low > 10


def test_no_series_is_a_figure_without_axes() -> None:
    assert history(VALUES.iloc[:0], CHANGES).axes == []
