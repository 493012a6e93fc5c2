"""What is said of the commands that were measured."""

from __future__ import annotations

import measure_scaling


def test_speed_ups_are_ratios_of_one_round() -> None:
    # The machine is twice as slow in the second round, for everybody.
    rounds = [
        {
            name: {"wall_s": slow * 60 / speed, "cpu_s": slow * 60.0, "others": 0.5}
            for name, speed in zip(measure_scaling.COMMANDS, (1, 1.8, 0.9, 1.6, 1.5), strict=True)
        }
        for slow in (1, 2)
    ]
    lines = measure_scaling.table(rounds).splitlines()
    assert lines[0].startswith("| 2 rounds |")
    assert (
        lines[3]
        == "| 2 workers | 50 (33 to 67) | 90 (60 to 120) | 1.80 (1.80 to 1.80) | 0.90 | 0.5 |"
    )
    assert lines[6].split("|")[4:6] == [" 1.50 (1.50 to 1.50) ", " 0.38 "]
