"""What theory says exactly of the registered optimizers, as rows that can be measured."""

from optbench.known_answers.answer import Answer, KnownAnswer
from optbench.known_answers.table import KNOWN_ANSWERS, known_answers, statements, table

__all__ = ["KNOWN_ANSWERS", "Answer", "KnownAnswer", "known_answers", "statements", "table"]
