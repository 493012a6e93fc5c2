"""What a machine does to a store: one clear line, and nothing lost that was committed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_coordination import KEYS, NEVER, RUNS
from test_store import HERE, result, run

from optbench.engine.runs import Result
from optbench.store import Store, StoreError


def batch(seeds: range) -> list[Result]:
    return [result(run(seed=seed)) for seed in seeds]


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(StoreError) as error:
        call(*arguments)  # type: ignore[operator]
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


# A disk of our own.


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a disk of its own")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no disk of its own can be mounted here: {error.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_loses_nothing_that_was_kept(disk: Path) -> None:
    path = disk / "results.sqlite"
    ballast = disk / "ballast"
    with Store(str(path), create=True) as store, store.coordinate() as me:
        ballast.write_bytes(bytes(300_000))
        kept, said = 0, ""
        while not said and kept < 5000:
            try:
                store.add(batch(range(kept, kept + 50)), HERE)
                kept += 50
            except StoreError as error:
                said = str(error)
        assert said.endswith("cannot be used: database or disk is full")
        assert kept > 0
        assert store.count() == kept
        assert store.missing([run(seed=s) for s in range(kept)]) == []
        # There is room again: the same batch goes in.
        ballast.unlink()
        store.add(batch(range(kept, kept + 50)), HERE)
        assert me.claim(NEVER).done == set(KEYS)
        assert store.count() == kept + 50
    assert whole(path)


def test_a_disk_that_is_full_from_the_start_takes_no_store(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(1024 * 1024 - 3 * 4096))
    message = refused(lambda: Store(str(disk / "results.sqlite"), create=True))
    assert "database or disk is full" in message


@pytest.fixture
def read_only(disk: Path) -> Path:
    """A store of two runs, where nothing can be written."""
    with Store(str(disk / "results.sqlite"), create=True) as store:
        store.add(batch(range(2)), HERE)
    mount("-o", "remount,ro", str(disk))
    return disk


def test_a_store_that_cannot_be_written_is_read(read_only: Path) -> None:
    path = str(read_only / "results.sqlite")
    with Store(path) as store:
        assert store.count() == len(store.runs()) == 2
        assert store.missing(RUNS) == RUNS[2:]
        assert "readonly database" in refused(store.add, batch(range(1)), HERE)
    assert path in refused(lambda: Store(path, create=True))


# Damage.


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store of a hundred runs, in one file."""
    path = tmp_path_factory.mktemp("sound") / "results.sqlite"
    with Store(str(path), create=True) as store:
        store.add(batch(range(100)), HERE)
    return path.read_bytes()


def use(path: Path) -> None:
    """Everything that one may ask of a store."""
    with Store(str(path), create=True) as store:
        for frame in (store.runs, store.targets, store.traces, store.problems, store.environments):
            frame()
        store.count()
        store.costs()
        store.attempts(KEYS)
        store.missing(RUNS)
        with store.coordinate() as me:
            me.claim(NEVER)


@pytest.mark.parametrize("kind", ["a byte", "a page", "cut short"])
def test_a_damaged_file_is_used_or_refused_in_a_line(
    tmp_path: Path, sound: bytes, kind: str
) -> None:
    random_ = random.Random(kind)
    said = []
    for trial in range(25):
        content = bytearray(sound)
        place = random_.randrange(len(content))
        if kind == "cut short":
            del content[place:]
        elif kind == "a byte":
            for _ in range(8):
                content[random_.randrange(len(content))] = random_.randrange(256)
        else:
            page = place // 4096 * 4096
            content[page : page + 4096] = random_.randbytes(4096)
        path = tmp_path / f"{trial}.sqlite"
        path.write_bytes(content)
        try:
            use(path)
        except StoreError as error:
            said.append(str(error))
    assert all(len(each.splitlines()) == 1 for each in said)
    assert len(said) > {"a byte": 0, "a page": 15, "cut short": 20}[kind]


@pytest.mark.parametrize("seed", range(4))
def test_of_a_damaged_log_the_sound_part_is_kept(tmp_path: Path, seed: int) -> None:
    path, copy = tmp_path / "results.sqlite", tmp_path / "copy.sqlite"
    random_ = random.Random(seed)
    with Store(str(path), create=True) as store:
        store.add(batch(range(10)), HERE)
        with store._database.engine.connect() as connection:
            connection.connection.driver_connection.execute(  # type: ignore[union-attr]
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )
        for first in range(10, 50, 10):
            store.add(batch(range(first, first + 10)), HERE)
        # As a loss of power leaves them: the writer has not tidied up.
        shutil.copy(path, copy)
        log = bytearray(path.with_name("results.sqlite-wal").read_bytes())
    for place in random_.sample(range(len(log)), 3):
        log[place] ^= 0xFF
    copy.with_name("copy.sqlite-wal").write_bytes(log)
    with Store(str(copy), create=True) as damaged:
        count = damaged.count()
        assert count in (10, 20, 30, 40, 50)
        assert damaged.missing([run(seed=s) for s in range(count)]) == []
        damaged.add(batch(range(50)), HERE)
        assert damaged.count() == 50
    assert whole(copy)


# A file that loses its name, which its holder could go on writing to.


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_written_into_a_file_without_a_name(tmp_path: Path, replaced: bool) -> None:
    path, other = tmp_path / "results.sqlite", tmp_path / "other.sqlite"
    with Store(str(other), create=True) as another:
        another.add(batch(range(3)), HERE)
    with Store(str(path), create=True) as store:
        store.add(batch(range(1)), HERE)
        for file in tmp_path.glob("results.sqlite*"):
            file.unlink()
        if replaced:
            shutil.copy(other, path)
        message = refused(store.add, batch(range(1, 2)), HERE)
    assert f"{path} was deleted or replaced while it was in use" in message
    assert path.exists() is replaced
    if replaced:
        with Store(str(path)) as left:
            assert left.count() == 3


def test_a_store_in_memory_has_no_file_to_lose(workplace: Path) -> None:
    (workplace / ":memory:").touch()
    with Store("sqlite:///:memory:", create=True) as store:
        (workplace / ":memory:").unlink()
        store.add(batch(range(1)), HERE)
        assert store.count() == 1
