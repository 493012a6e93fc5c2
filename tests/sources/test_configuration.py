"""``[tool.optbench]`` is read, or refused with the path of the key that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.sources import SourceError
from optbench.sources.configuration import Configuration, read_configuration


def written(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(SourceError) as refused:
        read_configuration(folder)
    message = str(refused.value)
    assert message.startswith(f"{folder / 'pyproject.toml'}: ")
    return message.removeprefix(f"{folder / 'pyproject.toml'}: ")


def test_every_key_is_read(tmp_path: Path) -> None:
    read = read_configuration(
        written(
            tmp_path,
            """
            [tool.optbench]
            optimizers = ["tinyopt.adam:Adam", "tinyopt:*"]
            path = "python"
            install = true
            fail-on = ["changed", "slower"]
            """,
        )
    )
    assert read.optimizers == ("tinyopt.adam:Adam", "tinyopt:*")
    assert (read.path, read.install, read.fail_on) == ("python", True, ("changed", "slower"))


@pytest.mark.parametrize(
    "text",
    ["", "[project]\nname = 'x'", "[tool.ruff]", "tool = 3", "[tool.optbench]"],
    ids=["empty", "no tools", "other tools", "tool is no table", "empty table"],
)
def test_without_a_table_nothing_is_asked_for(tmp_path: Path, text: str) -> None:
    assert read_configuration(written(tmp_path, text)) == Configuration()
    assert Configuration() == Configuration(optimizers=(), path=None, install=False, fail_on=None)


def test_without_a_file_nothing_is_asked_for(tmp_path: Path) -> None:
    assert read_configuration(tmp_path) == Configuration()
    assert read_configuration(tmp_path / "nowhere") == Configuration()
    (tmp_path / "pyproject.toml").mkdir()
    assert read_configuration(tmp_path) == Configuration()


def test_no_names_differ_from_an_empty_list_of_failures(tmp_path: Path) -> None:
    assert read_configuration(written(tmp_path, "[tool.optbench]\nfail-on = []")).fail_on == ()


@pytest.mark.parametrize("key", ["optimisers", "fail-onn", "Install"])
def test_an_unknown_key_is_named_beside_the_known(tmp_path: Path, key: str) -> None:
    message = refusal(written(tmp_path, f"[tool.optbench]\n{key} = true"))
    assert message.startswith(f"tool.optbench.{key}: ")
    assert message.endswith("; known are optimizers, path, install, overlay, fail-on")


@pytest.mark.parametrize(
    ("line", "key", "got"),
    [
        ("optimizers = 'tinyopt:Adam'", "optimizers", "'tinyopt:Adam'"),
        ("optimizers = ['tinyopt:Adam', 3]", "optimizers.1", "3"),
        ("path = ['src']", "path", "['src']"),
        ("install = 'perhaps'", "install", "'perhaps'"),
        ("fail-on = 'changed'", "fail-on", "'changed'"),
        ("fail-on = [{a = 1}]", "fail-on.0", "{'a': 1}"),
    ],
)
def test_a_wrong_type_is_named_with_what_was_there(
    tmp_path: Path, line: str, key: str, got: str
) -> None:
    message = refusal(written(tmp_path, f"[tool.optbench]\n{line}"))
    assert message.startswith(f"tool.optbench.{key}: ")
    assert message.endswith(f"(got {got})")  # no list of keys: this one is known


@pytest.mark.parametrize("table", ["3", "[]", "'tinyopt'"])
def test_a_table_that_is_none_is_named(tmp_path: Path, table: str) -> None:
    message = refusal(written(tmp_path, f"[tool]\noptbench = {table}"))
    assert message.startswith("tool.optbench: ")


@pytest.mark.parametrize("names", ["['']", "['tinyopt:Adam', ' ']"])
def test_an_empty_name_is_refused(tmp_path: Path, names: str) -> None:
    message = refusal(written(tmp_path, f"[tool.optbench]\noptimizers = {names}"))
    assert message.startswith("tool.optbench.optimizers: ")
    assert "an empty name" in message


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(written(tmp_path, "[tool.optbench]\noptimizers = [,]\n"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.optbench]\npath = '\xff'")
    assert "can't decode" in refusal(tmp_path)
