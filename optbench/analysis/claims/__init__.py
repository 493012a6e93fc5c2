"""Claims about optimizers, and what the runs say of them."""

from optbench.analysis.claims.claim import Claim, Evidence, Finding, Undecided, Verdict
from optbench.analysis.claims.solutions import ANSWERS
from optbench.analysis.claims.table import CLAIMS, judged

__all__ = ["ANSWERS", "CLAIMS", "Claim", "Evidence", "Finding", "Undecided", "Verdict", "judged"]
