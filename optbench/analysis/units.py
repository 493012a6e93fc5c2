"""What the tracked values are measured in; by its unit a value is known as exact or as measured."""

STEPS = "gradient evaluations"
FAILED_SEEDS = "1, or 2 for a miss"
GAP = "of the initial gap"
ERROR_RATE = "error rate"
STATE_BYTES = "bytes a parameter, its own 4 included"
TIMES_SGD = "times a step of plain SGD"
TIMES_THE_BOUND = "times the memory bound"
TIMES_PLAIN = "times the plain loop"

EXACT = frozenset((STEPS, FAILED_SEEDS, GAP, ERROR_RATE, STATE_BYTES))
"""The same commit gives the same value; everything else is measured, and scatters."""

UNITS = {
    "steps_to_target": STEPS,
    "failed_seeds": FAILED_SEEDS,
    "final_gap": GAP,
    "error_rate": ERROR_RATE,
    "state_bytes": STATE_BYTES,
}
"""Units of optbench's exact metrics by name, for results without a declaration."""
