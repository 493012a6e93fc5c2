"""Whatever stands in ``accepted.toml``: it is read, or refused in a line that names the file."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from fuzzing import HOSTILE, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.tracking.accepted import FILE, Accepted, add_accepted, parse, read_accepted

COMMIT = "a" * 40
ON = "on = 2026-01-01\n"
ROW = f'[[accepted]]\ncommit = "{COMMIT}"\nmetric = "x"\nwhy = "y"\n{ON}'

lines = st.sampled_from([*ROW.splitlines(), "[accepted]", "on = 0x" + "f" * 5000, "why = nan",
                         'why = "\\u001b[2J\\n"', '"k\\n" = 1', "metric = [[[]]]"])  # fmt: skip


@fuzzed(120)
@given(content=st.lists(lines, max_size=8).map("\n".join).map(str.encode) | st.binary())
@example(ROW.encode() + b"x = " + b"[" * 3000)
@example(b"accepted = " + b"9" * 5000)
@example(ROW.encode() + b"problem = 0x" + b"f" * 5000)
@example(ROW.encode() + b'"a\\nb\\u001b[2J" = 1')
@example(b"accepted = 3")
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "accepted"
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(content)
    refusal = works_or_is_refused(lambda: read_accepted(folder))
    assert not refusal or refusal.startswith(f"{folder / FILE}: ")


@fuzzed(120)
@given(metric=texts, why=texts, optimizer=texts)
@example("m", "\ud800", "o")
@example("\x7f\x00\u2028\"\\'", "'''\n\"\"\"]]\n[[accepted]]", "\u202e")
def test_what_is_added_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, metric: str, why: str, optimizer: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "added"
    folder.mkdir(exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    made: list[Accepted] = []

    def add() -> None:
        made.append(Accepted(commit=COMMIT, metric=metric, optimizer=optimizer, why=why,
                             on=datetime.date(2026, 1, 1)))  # fmt: skip
        assert add_accepted(folder, made[0])

    if not works_or_is_refused(add):
        assert read_accepted(folder) == tuple(made)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_file_is_named_on_a_line(text: str) -> None:
    works_or_is_refused(lambda: parse(text, "accepted.toml"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/zero")
    assert "it is not a plain file" in works_or_is_refused(lambda: read_accepted(tmp_path))
