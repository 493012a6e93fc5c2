"""A change is shown as git would show it, and written whole, where it belongs, or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from optbench.scaffold import Change, ScaffoldError, write
from optbench.scaffold.changes import State, read

FILE = PurePosixPath("a b/ё.txt")


def test_what_is_wanted_is_new_or_the_same_or_differs() -> None:
    assert Change(FILE, None, "x\n").state is State.NEW
    assert Change(FILE, "x\n", "x\n").state is State.SAME
    assert Change(FILE, "x\r\n", "x\n").state is State.SAME
    assert Change(FILE, "x\n", "y\n").state is State.DIFFERS
    assert Change(FILE, "x\n", "x\ny\n", appended=True).state is State.ADDED_TO


@pytest.mark.parametrize("before", ["one\ntwo\nthree\n", "one\ntwo\nthree"])
def test_git_makes_of_the_diff_what_is_wanted(tmp_path: Path, before: str) -> None:
    change = Change(PurePosixPath("file.txt"), before, "one\n2\nthree\nfour\n")
    file = tmp_path / "file.txt"
    file.write_text(before)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=change.diff(), text=True, check=True)
    assert file.read_text() == change.after


def test_a_file_is_written_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / FILE
    write(tmp_path, [Change(FILE, None, "x\n")])
    assert place.read_text("utf-8") == "x\n"
    assert place.stat().st_mode & 0o777 == 0o644
    place.chmod(0o755)
    write(tmp_path, [Change(FILE, "x\n", "y\r\n")])
    assert place.read_bytes() == b"y\r\n"
    assert place.stat().st_mode & 0o777 == 0o755
    assert list(place.parent.iterdir()) == [place]


def test_what_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file.txt"
    place.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(ScaffoldError, match=r"file\.txt cannot be written: No space left"):
        write(tmp_path, [Change(PurePosixPath("file.txt"), "old", "new")])
    assert place.read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("link", ["benchmarks", "benchmarks/optimizers.py"])
def test_a_link_out_of_the_repository_is_refused(tmp_path: Path, link: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / link).parent.mkdir(parents=True)
    outside.mkdir()
    (outside / "optimizers.py").write_text("theirs")
    is_folder = link == "benchmarks"
    (root / link).symlink_to(outside if is_folder else outside / "optimizers.py")
    path = PurePosixPath("benchmarks/optimizers.py")
    with pytest.raises(ScaffoldError, match="leads out of the repository"):
        read(root, path)
    with pytest.raises(ScaffoldError, match="leads out of the repository"):
        write(root, [Change(path, None, "ours")])
    assert (outside / "optimizers.py").read_text() == "theirs"


def test_a_link_within_the_repository_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    path = PurePosixPath("link.txt")
    assert read(tmp_path, path) == "old"
    write(tmp_path, [Change(path, "old", "new")])
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / ".git").mkdir()
    (tmp_path / "hook").symlink_to(".git/hook")
    for path, words in (
        ("folder", "is a folder"),
        ("file/optimizers.py", "is no folder"),
        ("bytes", "no text in UTF-8"),
        ("circle", "leads nowhere|cannot be read"),
        ("hook", r"link into \.git"),
    ):
        with pytest.raises(ScaffoldError, match=words):
            read(tmp_path, PurePosixPath(path))
    assert read(tmp_path, PurePosixPath("nothing/here")) is None
