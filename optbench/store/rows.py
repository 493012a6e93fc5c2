"""From a result to rows."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from optbench.engine.environment import Environment
from optbench.engine.identity import code_of
from optbench.engine.runs import Result, canonical
from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS

ProblemKey = tuple[str, int, str]
"""Name, version and data of a problem."""


@dataclass(frozen=True)
class TraceRow:
    """A trace as it is kept: little-endian int32 and float32, and what names the schedule."""

    metric: str
    digest: str
    steps: bytes
    values: bytes


def storable(text: str) -> str:
    """Return text that every database takes: U+0000 and lone surrogates are escaped."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return whole.replace("\0", "\\x00")


def problem_key(result: Result) -> ProblemKey:
    """Return the key of the row of its problem."""
    return result.run.problem, result.run.problem_version, result.run.data


def run_row(result: Result, key: str) -> dict[str, Any]:
    """Return the row of a run, without the ids of related rows and its attempts."""
    run = result.run
    optimizer, problem = OPTIMIZERS[run.optimizer], PROBLEMS[run.problem]
    others = {k: v for k, v in run.settings.items() if k != "lr"}
    headline = [bool(np.isclose(t, problem.target, rtol=1e-9)) for t in problem.targets].index(True)
    return {
        "key": key,
        "optimizer": run.optimizer,
        "base": optimizer.base,
        "variant": optimizer.variant,
        "lr": run.settings.get("lr"),
        "hyperparameters": canonical(others),
        "default": run.default,
        "seed": run.seed,
        "dtype": run.dtype,
        "device": run.device,
        "budget": run.budget,
        "status": result.status.value,
        "error": None if result.error is None else storable(result.error),
        "steps": result.steps,
        "initial_gap": _nullable(result.initial_gap),
        "final_gap": _nullable(result.final_gap),
        "steps_to_target": result.hits[headline] if result.hits else None,
        "hits": json.dumps(result.hits),
        "seconds_per_step": _nullable(result.seconds_per_step),
        "state_bytes": result.state_bytes,
        "seconds": _nullable(result.seconds),
    }


def code_row(result: Result) -> str:
    """Return the code that the run went through."""
    return code_of(result.run.optimizer)


def trace_rows(result: Result) -> list[TraceRow]:
    """Return the traces of a run."""
    rows = []
    for metric, trace in result.traces.items():
        steps = trace.steps.astype("<i4").tobytes()
        digest = hashlib.sha256(steps).hexdigest()[:32]
        rows.append(TraceRow(metric, digest, steps, trace.values.astype("<f4").tobytes()))
    return rows


def problem_row(key: ProblemKey) -> dict[str, Any]:
    """Return the row that defines a problem's results."""
    name, version, data = key
    problem = PROBLEMS[name]
    return {
        "problem": name,
        "problem_version": version,
        "data": data,
        "family": problem.family,
        "dimension": problem.dimension,
        "minimum": problem.minimum,
        "minimum_is_bound": problem.minimum_is_bound,
        "target": problem.target,
        "targets": json.dumps(problem.targets),
        "budget": problem.budget,
        "cite": problem.cite,
        "summary": problem.summary,
    }


def environment_row(environment: Environment) -> dict[str, Any]:
    """Where results were made."""
    row = {**asdict(environment), "digest": environment.digest}
    return {name: storable(it) if isinstance(it, str) else it for name, it in row.items()}


def _nullable(number: float | None) -> float | None:
    """NaN as NULL (databases differ on NaN); infinity stays."""
    return None if number is None or math.isnan(number) else number
