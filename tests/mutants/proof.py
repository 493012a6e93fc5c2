"""The contract held against every mutant and every twin."""

from __future__ import annotations

from dataclasses import dataclass

from mutants.catalogue import MUTANTS, Mutant
from optbench.conformance.contract import choose
from optbench.conformance.result import BAD, UNCHECKED, CheckResult, Status
from optbench.conformance.worker_process import SubjectSpec
from optbench.conformance.workers import examine_all
from optbench.runner.executors import default_jobs


@dataclass(frozen=True)
class Proof:
    """What the contract says of a mutant and of its twin: names of broken checks."""

    mutant: Mutant
    caught_by: tuple[str, ...]
    accused_of: tuple[str, ...]

    @property
    def caught(self) -> bool:
        """By one of the checks that ought to."""
        return bool({*self.caught_by} & {*self.mutant.caught_by})


def prove(*, whole: bool = True) -> list[Proof]:
    """Run the whole contract over all of them, each in a worker process.

    Where not ``whole``, a bug meets only the checks that ought to catch it, on which alone it
    depends whether it is caught; the twins meet all in any case.
    """
    twins, bugs = (
        [SubjectSpec(getattr(mutant, which), mutant.reference) for mutant in MUTANTS]
        for which in ("correct", "broken")
    )
    asked: dict[tuple[str, ...], list[SubjectSpec]] = {}
    for mutant, bug in zip(MUTANTS, bugs, strict=True):
        asked.setdefault(() if whole else mutant.caught_by, []).append(bug)
    counts = BAD | UNCHECKED | {Status.ADVICE}  # as --strict has it, for bugs and twins alike
    broken: dict[str, list[str]] = {question.target: [] for question in (*twins, *bugs)}
    for questions, only in ((twins, ()), *((bugs, only) for only, bugs in asked.items())):
        for said in examine_all(questions, choose(only), jobs=default_jobs()):
            if isinstance(said, CheckResult) and said.status in counts:
                broken[said.target].append(said.check or said.status.value)
    return [
        Proof(mutant, tuple(sorted(broken[mutant.broken])), tuple(sorted(broken[mutant.correct])))
        for mutant in MUTANTS
    ]
