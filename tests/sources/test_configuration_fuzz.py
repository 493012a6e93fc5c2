"""Whatever stands in ``pyproject.toml``: it is read, or refused in a line that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fuzzing import HOSTILE, fuzzed, texts, values, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.sources.configuration import Configuration, read_configuration


def toml(value: object) -> str:
    """A value in TOML's words, as far as it has some for it; what it has not is left to chance."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if value > 0 else "0"
    return json.dumps(value, ensure_ascii=False).replace("NaN", "nan").replace("Infinity", "inf")


keys = st.sampled_from(["optimizers", "path", "install", "fail-on", "fail_on"]) | texts
tables = st.dictionaries(keys, values, max_size=4).map(
    lambda table: (
        "[tool.optbench]\n"
        + "".join(f"{json.dumps(k, ensure_ascii=False)} = {toml(v)}\n" for k, v in table.items())
    )
)


def read(folder: Path, content: bytes) -> str:
    (folder / "pyproject.toml").write_bytes(content)
    refusal = works_or_is_refused(lambda: read_configuration(folder))
    if refusal:
        assert refusal.startswith(f"{folder / 'pyproject.toml'}: ")
    else:
        assert isinstance(read_configuration(folder), Configuration)
    return refusal


@fuzzed(150)
@given(content=tables.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary())
@example(b"[tool.optbench]\noptimizers = " + b"[" * 3000)
@example(b"a = " + b"9" * 5000)
@example(b"[tool.optbench]\npath = 0x" + b"f" * 5000)
@example(b"[tool.optbench]\npath = [" + b"1, " * 9000 + b"1]")
@example(b'[tool.optbench]\n"a\\nb\\u001b[2J" = 1')
@example(b'[tool.optbench]\n"' + b"k" * 9000 + b'" = 1')
@example(b"[tool.optbench]\noptimizers = ['a' 'b']\x1b[2J")
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    read(folder, content)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_target_is_data(tmp_path: Path, text: str) -> None:
    table = f"[tool.optbench]\noptimizers = [{json.dumps(text)}]\n"
    refusal = read(tmp_path, table.encode())
    assert bool(refusal) is (not text.strip() or "\ud800" in text)
