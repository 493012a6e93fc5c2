"""Whatever ``--store`` is given: a store is opened, or it is refused in a line; nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzzing import HOSTILE, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.nightly.data_branch import store_file
from optbench.store import Store
from optbench.store.address import public

# No name of a host: nothing is to be asked for elsewhere.
urls = st.tuples(
    st.sampled_from(["sqlite:///", "sqlite://", "sqlite+pysqlite:///", "sqlite+aiosqlite:///",
                     "foo://", "://", "sqlite+:///", "sqlite:////", "a b://", "sqlite:///file:"]),
    texts.map(lambda text: text.lstrip("/")),
    st.sampled_from(["", "?timeout=x", "?uri=maybe", "?check_same_thread=maybe", "?a=b&a=c",
                     "?mode=ro&uri=true", "?" + "a" * 5000, "?detect_types=9", "?isolation_level=z",
                     "?cached_statements=-1", "?vfs=none&uri=true"]),
).map("".join)  # fmt: skip


@fuzzed(150)
@given(url=texts.map(lambda text: text.lstrip("/.")) | urls)
@example("a" * 5000)
@example("a/" * 3000)
@example("\x00")
@example("sqlite:///\x00")
@example("sqlite:///\ud800")
@example("sqlite:///x?timeout=x")
@example("sqlite://user:secret@127.0.0.1/x")
@example("sqlite:///x?isolation_level=z")
@example("postgresql+psycopg://u:secret@127.0.0.1:port/x")
@example("postgresql+psycopg://u:secret@127.0.0.1:1/x?connect_timeout=1")
@example("postgresql+psycopg://u:secret@127.0.0.1:1/x?service=none&nonsense=1")
def test_any_url(tmp_path_factory: pytest.TempPathFactory, url: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "urls"
    folder.mkdir(exist_ok=True)
    here = Path.cwd()
    os.chdir(folder)
    try:
        refusal = works_or_is_refused(lambda: Store(url).close())
        assert "secret" not in refusal
        assert refusal or any(part in url for part in ("file:", ":memory:"))
        made = list(folder.iterdir())
        for file in made:
            file.unlink()
        assert not made or "file:" in url or "uri=" in url  # SQLite's own URIs say it themselves
        works_or_is_refused(lambda: store_file(url))
        assert "secret" not in public(url, folder)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A store that is made of it lies where it is named, and there alone."""
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    name = text.replace("/", "_")
    works_or_is_refused(lambda: Store(name, create=True).close())
    made = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parent for path in made} <= {inside}
