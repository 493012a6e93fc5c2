"""File names, files, numbers and Markdown from anything."""

from pathlib import Path

import pytest

from optbench.reporting import numerals
from optbench.reporting.files import Folder, slug
from optbench.reporting.markdown import escaped


@pytest.mark.parametrize("name", ["../..", "/etc/passwd", "a\\b", "", ".", "CON ", "é" * 500, "最"])
def test_a_slug_is_one_safe_file_name(name: str) -> None:
    found = slug(name)
    assert found
    assert len(found) < 80
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_good_name_stays_and_changed_ones_do_not_collide() -> None:
    assert slug("rosenbrock-2d") == "rosenbrock-2d"
    assert len({slug(name) for name in ("a/b", "a-b", "a b", "A-B", "a.b")}) == 5


def test_a_folder_refuses_what_lies_outside(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="outside"):
        Folder(tmp_path / "out").write("../beside.txt", "x")
    (tmp_path / "out" / "figures").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(PermissionError, match="outside"):
        Folder(tmp_path / "out").write("figures/a.svg", "x")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a.txt", "old")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(OSError, match=r"b\.txt"):
        folder.write("b.txt", "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    folder.write("a.txt", "new\n")
    assert (tmp_path / "a.txt").read_bytes() == b"new\n"


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    picture = b"\x89PNG\r\n\xff\x00"
    assert Folder(tmp_path).write("figures/a.png", picture).read_bytes() == picture


def test_numbers_as_they_are_read() -> None:
    nan, inf = float("nan"), float("inf")
    assert [numerals.integer(v) for v in (1234567.0, 0.0, nan)] == ["1,234,567", "0", "—"]
    assert [numerals.ratio(v) for v in (1.234, 0.0, nan, inf)] == ["1.23×", "0", "—", "∞"]
    assert numerals.interval(0.0, inf) == "[0, ∞]"
    assert numerals.interval(0.5, 1.25, 1) == "[0.5, 1.2]"
    assert numerals.interval(nan, nan) == "—"
    found = [
        numerals.significant(v) for v in (0.0, 8.0, 0.012345, 1e-5, 123456.0, 1234.0, inf, nan)
    ]
    assert found == ["0", "8", "0.0123", "1e-5", "1.23e5", "1,230", "∞", "—"]
    assert numerals.spans((0, 1, 2, 5, 7, 8)) == "0–2, 5, 7–8"


def test_markdown_shows_text_as_it_is() -> None:
    assert escaped("a|b\n<i> [x](y) `c`") == r"a\|b \<i\> \[x\]\(y\) \`c\`"
