import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from optbench.reporting import edge_labels, style
from optbench.reporting.edge_labels import End, place
from optbench.reporting.style import look

LOOK = {name: look(name, name) for name in ("adam", "sgd", "momentum")}
HEIGHT = 4.0
GAP = edge_labels.HEIGHT / (72 * HEIGHT)


def labelled(ends: list[End]) -> Axes:
    ax = Figure(figsize=(10, 5)).add_axes((0.1, 0.1, 0.8, HEIGHT / 5))
    edge_labels.edge_labels(ax, ends, LOOK)
    return ax


def heights(ax: Axes) -> dict[str, float]:
    return {text.get_text(): text.get_position()[1] for text in ax.texts}


def test_names_in_colour_are_moved_apart_and_all_stand() -> None:
    found = heights(labelled([End("adam", 0.5), End("sgd", 0.5), End("momentum", 0.5)]))
    assert sorted(found) == ["adam", "momentum", "sgd"]
    assert np.diff(sorted(found.values())) == pytest.approx([GAP, GAP])
    assert np.mean(list(found.values())) == pytest.approx(0.5)


def test_a_grey_one_is_named_only_beside_its_own_end() -> None:
    ends = [End("adam", 0.5), End("near", 0.5 + 0.9 * GAP), End("far", 0.2), End("also", 0.2)]
    found = heights(labelled(ends))
    assert found == pytest.approx({"adam": 0.5, "also": 0.2})
    colors = {text.get_text(): to_hex(str(text.get_color())) for text in labelled(ends).texts}
    assert colors == {"adam": style.INK, "also": style.FAINT}


def test_notes_follow_names_and_leaders_begin_where_lines_end() -> None:
    ax = labelled([End("adam", 0.3, " (diverged)", 0.4), End("sgd", 0.9)])
    assert set(heights(ax)) == {"adam (diverged)", "sgd"}
    early, late = (np.asarray(line.get_xydata()) for line in ax.lines)
    assert early[:2].tolist() == [[0.4, 0.3], [1.0, 0.3]]
    assert late[0].tolist() == [1.0, 0.9]


def test_place_is_that_of_a_log_axis_and_ends_at_its_edges() -> None:
    found = [place(value, 0.01, 100.0) for value in (0.0, 0.01, 1.0, 100.0, np.inf)]
    assert found == pytest.approx([0, 0, 0.5, 1, 1])
