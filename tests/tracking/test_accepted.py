"""Regressions that are wanted: written to a file that people read, and read back."""

import datetime

import pytest

from optbench.tracking.accepted import (
    FILE,
    Accepted,
    WrongAcceptance,
    add_accepted,
    covering,
    read_accepted,
)

DAY = datetime.date(2026, 11, 23)


def row(**more):
    fields = {"commit": "a" * 40, "metric": "steps_to_target", "why": "as wanted", "on": DAY}
    return Accepted(**{**fields, **more})


def test_what_was_written_is_read_back(tmp_path):
    rows = (
        row(why='a "quoted" reason, with \\ and \n and \x7f and ü'),
        row(commit="b" * 40, optimizer="a:Adam", problem="beale"),
    )
    for each in rows:
        assert add_accepted(tmp_path, each)
    assert read_accepted(tmp_path) == rows


def test_nothing_is_written_twice(tmp_path):
    assert add_accepted(tmp_path, row())
    text = (tmp_path / FILE).read_text()
    assert not add_accepted(tmp_path, row(why="said again", on=datetime.date(2027, 1, 1)))
    assert (tmp_path / FILE).read_text() == text


def test_what_stands_in_the_file_stays(tmp_path):
    (tmp_path / FILE).write_text("# ours\n")
    add_accepted(tmp_path, row())
    assert (tmp_path / FILE).read_text().startswith("# ours\n")
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("accepted = 3", "only tables"),
        ("[[accepted]]\ncommit = 'HEAD'", r"number 1: commit"),
        ("[[accepted]]\ncommti = 'x'", r"number 1"),
        ("[other]\nx = 1", "only tables"),
        ("[[", "Expected|Unclosed|Invalid|Cannot"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(tmp_path, text, why):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(WrongAcceptance, match=why) as raised:
        read_accepted(tmp_path)
    assert str(tmp_path / FILE) in str(raised.value)


PLACES = {"a" * 40: 3, "b" * 40: 5}


def why(accepted, metric="steps_to_target", optimizer="a:Adam", problem="beale", first="a" * 40):
    row = covering((accepted,), metric, optimizer, problem, first, PLACES)
    return "" if row is None else row.why


def test_it_holds_for_its_commit_and_older_ones_and_not_for_newer_ones():
    assert why(row()) == "as wanted"
    assert why(row(commit="b" * 40)) == "as wanted"
    assert why(row(), first="b" * 40) == ""
    assert why(row(commit="c" * 40)) == ""  # of no commit of the line


def test_it_holds_for_what_it_names():
    assert why(row(metric="final_gap")) == ""
    assert why(row(metric="steps*")) == "as wanted"
    assert why(row(optimizer="b:*")) == ""
    assert why(row(optimizer="adam[fused]"), optimizer="adam[fused]") == "as wanted"
    assert why(row(problem="beale"), problem="l1") == ""
