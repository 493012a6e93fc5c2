"""The contract held against every mutant and every twin."""

from __future__ import annotations

from dataclasses import dataclass

from mutants.catalogue import MUTANTS, Mutant
from optbench.conformance.verdict import BAD, UNCHECKED, Verdict
from optbench.conformance.worker_process import Question
from optbench.conformance.workers import examine_all
from optbench.engine.executors import default_jobs


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


def prove() -> list[Proof]:
    """Run the whole contract over all of them, each in a worker process."""
    questions = [
        Question(target, mutant.reference)
        for mutant in MUTANTS
        for target in (mutant.correct, mutant.broken)
    ]
    broken: dict[str, list[str]] = {question.target: [] for question in questions}
    for said in examine_all(questions, jobs=default_jobs()):
        if isinstance(said, Verdict) and said.status in BAD | UNCHECKED:
            broken[said.target].append(said.check or said.status.value)
    return [
        Proof(mutant, tuple(sorted(broken[mutant.broken])), tuple(sorted(broken[mutant.correct])))
        for mutant in MUTANTS
    ]
