"""The engine against the loop that a person would write: ``python scripts/THIS.py``.

Both run stock ``torch.optim.Adam`` on one thread, in one process, in turns (plain, engine,
plain), and what is printed is the ratio of their speeds in runs x steps a second: the median of
the rounds, with the least and the largest. Absolute speeds of a shared machine mean little;
ratios of neighbours in time mean something.
"""

from __future__ import annotations

import argparse
import statistics

from optbench.asv.interleaved_timing import turns
from optbench.asv.plain_loop import CASES, Contest, case
from optbench.engine.lanes import one_thread

WANTED = {"rosenbrock-2d": 50, "quadratic": 30, "mlp-64-32-10": 8, "mnist-mlp": 1.2}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="problems whose name holds this")
    options = parser.parse_args()
    print(f"{'problem':18}{'lanes':>6}{'median':>9}{'least':>9}{'most':>9}{'wanted':>9}")
    with one_thread():
        for name, (most, _) in CASES.items():
            if options.only not in name:
                continue
            for lanes in (1, 2, 4, 8) if name == "mnist-mlp" else (1, most):
                contest = Contest(case(name), lanes)
                ratios = turns(contest.engine, contest.by_hand, options.rounds)
                found = [1 / each for each in ratios]
                wanted = 0.9 if lanes == 1 else WANTED[name]
                print(
                    f"{name:18}{lanes:6}{statistics.median(found):8.2f}x{min(found):8.2f}x"
                    f"{max(found):8.2f}x{wanted:8.2f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main()
