"""``make mutants``: the contract over every bug and every correct twin, as a table."""

from __future__ import annotations

import sys
import time

from mutants.proof import Proof, prove


def table(proofs: list[Proof]) -> str:
    """One line a bug: who caught it, and who was accused wrongly."""
    lines = ["| # | bug | where | caught by | twin |", "|---|---|---|---|---|"]
    for proof in proofs:
        mutant = proof.mutant
        names = [f"**{n}**" if n in mutant.caught_by else n for n in proof.caught_by]
        caught = ", ".join(names) or ("needs a GPU" if mutant.gpu else "NOT CAUGHT")
        twin = ", ".join(proof.accused_of) or "passed all"
        lines.append(f"| {mutant.number} | {mutant.title} | {mutant.where} | {caught} | {twin} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table; 0 where every bug is caught by a check that ought to, and no twin is."""
    begun = time.monotonic()
    proofs = prove()
    print(table(proofs))
    here = [p for p in proofs if not p.mutant.gpu]
    caught = sum(p.caught for p in here)
    accused = sum(bool(p.accused_of) for p in proofs)
    elsewhere = f", {len(proofs) - len(here)} need a GPU" if len(here) < len(proofs) else ""
    print(
        f"\n{caught} of {len(here)} caught by a check that ought to{elsewhere}; "
        f"{accused} correct twins accused; in {time.monotonic() - begun:.0f} s"
    )
    return int(caught < len(here) or accused > 0)


if __name__ == "__main__":
    sys.exit(main())
