"""A job for a worker on another machine: what travels there, and what is done with it there.

The worker holds itself to what the coordinator expects of it, and refuses a job that would come
out otherwise: with other sources, other data, or another optimizer of the same name.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from optbench.engine.environment import Environment, environment
from optbench.engine.executors import Performed
from optbench.engine.identity import key
from optbench.engine.isolation import Limits, Stopped, perform_apart
from optbench.engine.plan import NoSuchDevice, check_device
from optbench.engine.runs import Run
from optbench.engine.wire import decode, encode
from optbench.engine.work import Parcel
from optbench.problems import PROBLEMS

DONE = b"done\n"
"""What the answer to a job begins with; a refusal begins otherwise, see `answers`."""

OURS = "optbench"
"""What the keys of our tasks begin with."""

STOPPED = b"stopped\n"
"""The answer of a worker that is being closed; the parcel goes to another one."""


@dataclass(frozen=True)
class Job:
    """A parcel, and what it is to the coordinator.

    Attributes
    ----------
    keys : tuple of str
        `optbench.engine.identity.key` of each run.
    source : str
        `source` of the coordinator.
    """

    parcel: Parcel
    limits: Limits
    keys: tuple[str, ...]
    source: str


class Refused(RuntimeError):
    """A worker does not take a job, because something else would come out of it; says what."""


def job(parcel: Parcel, limits: Limits) -> Job:
    """What is to be sent."""
    return Job(parcel, limits, tuple(map(key, parcel.runs)), source())


def answer(content: bytes) -> bytes:
    """On the worker: do an encoded job; gives an encoded `Performed` after `DONE`.

    Raises
    ------
    Refused
        With what differs, and both values.
    NotOurs
        Where the content is no job.
    """
    # Where there is no Dask, nobody calls this.
    from optbench.engine.dask_plugin import prepare_this_worker

    todo = decode(content, Job)
    check(todo)
    prepare_this_worker()
    try:
        results = perform_apart(todo.parcel, todo.limits)
    except Stopped:
        return STOPPED
    here = _environment(todo.parcel.units[0].runs[0].device)
    return DONE + encode(Performed(tuple(results), here), Performed)


@functools.cache
def _environment(device: str) -> Environment:
    return environment(device)


def check(todo: Job) -> None:
    """Refuse a job that is another one here.

    Raises
    ------
    Refused
        With what differs, and both values.
    """
    if source() != todo.source:
        raise Refused(
            f"its optbench has other sources, sha256 {source()}, than the coordinator's, "
            f"{todo.source}: install the same one there"
        )
    for device in {run.device for run in todo.parcel.runs}:
        try:
            check_device(device)
        except NoSuchDevice as error:
            raise Refused(f"it was begun with a GPU to give, but {error}") from error
    for run, expected in zip(todo.parcel.runs, todo.keys, strict=True):
        _check_problem(run)
        try:
            found = key(run)
        # To look an optimizer up imports it, and that is a stranger's code.
        except BaseException as error:
            raise Refused(
                f"it cannot make {run.optimizer}: {type(error).__name__}: {error} (what a path "
                "like my_module:MyAdam names must be importable on every worker, as by PYTHONPATH)"
            ) from error
        if found != expected:
            raise Refused(
                f"its code of {run.optimizer} is another one than the coordinator's: with it the "
                f"run of seed {run.seed} on {run.problem} is {found}, not {expected}"
            )


def _check_problem(run: Run) -> None:
    try:
        problem = PROBLEMS[run.problem]
        version, data = problem.version, problem.data
    except BaseException as error:
        raise Refused(f"it cannot make {run.problem}: {type(error).__name__}: {error}") from error
    if version != run.problem_version:
        raise Refused(f"it has version {version} of {run.problem}, not {run.problem_version}")
    if data != run.data:
        raise Refused(
            f"its data of {run.problem} are {data!r}, not {run.data!r}: set OPTBENCH_DATA on the "
            "workers as on the coordinator"
        )


@functools.cache
def source() -> str:
    """Digest of optbench's own source files."""
    return digest_of(Path(__file__).parents[1])


def digest_of(folder: Path) -> str:
    """Digest of the Python files of a folder, their names and contents: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
