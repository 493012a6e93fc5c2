"""Folders of a run, which go with it, and folders of packages and environments, which stay.

A run's folder holds a lock as long as the run lives. One that nobody holds is a run's that was
killed: the next run removes it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from optbench.sources.source import SourceError

# Not on Windows: there nobody can tell the living from the dead, and nothing is removed.
fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None

LOCK = "lock"

HALF = ".half-"
"""Beginning of the names of folders that are not yet what they are to be."""

DAY_S = 24 * 3600
"""Seconds after which a half-made folder is one of a killed run: none takes as long as that."""


def cache_folder() -> Path:
    """``$OPTBENCH_CACHE``, or ``optbench`` in the user's cache folder."""
    own = os.environ.get("OPTBENCH_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification of these variables wants a relative one ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "optbench"


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Make a folder for this run, removed at its end, and remove those of killed runs."""
    runs = cache_folder() / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"cannot create a folder in {cache_folder()} ({error.strerror}): set $OPTBENCH_CACHE "
            "to a writable one"
        ) from error
    # One at a time: a folder that has no lock yet would look like one of the dead.
    with (runs / LOCK).open("w") as door:
        _take(door)
        _remove_left_over(runs)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=runs))
        lock = (folder / LOCK).open("w")
        _take(lock)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def made_once(home: Path, make: Callable[[Path], Path]) -> Path:
    """Return a folder of the cache, which is there whole or not at all.

    Where it is not there, ``make`` is given an empty folder beside it, and returns what is moved to
    its place.
    """
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    for left in home.parent.glob(f"{HALF}*"):
        with contextlib.suppress(OSError):  # another run removed it first
            if time.time() - left.stat().st_mtime > DAY_S:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=HALF) as half:
        made = make(Path(half))
        try:
            made.rename(home)
        except OSError:
            if not home.is_dir():  # somebody else was first
                raise
    return home


def _take(lock: IO[str], *, wait: bool = True) -> None:
    if fcntl is not None:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _remove_left_over(runs: Path) -> None:
    if fcntl is None:
        return
    for folder in (each for each in runs.iterdir() if each.is_dir()):
        try:
            with (folder / LOCK).open("r+") as lock:
                _take(lock, wait=False)
        except BlockingIOError:
            continue  # it lives
        except FileNotFoundError:
            pass  # killed before it had a lock
        shutil.rmtree(folder, ignore_errors=True)
