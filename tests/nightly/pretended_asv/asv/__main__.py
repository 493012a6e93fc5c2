"""Behaves as the file ``pretend`` in the folder says: ``fine``, ``hang`` or ``fail``."""

import json
import sys
from pathlib import Path

COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a",
           "stats_ci_99_b", "stats_q_25", "stats_q_75", "number", "repeat", "samples"]  # fmt: skip


def main():
    command, mood = sys.argv[1], Path("pretend").read_text().strip()
    print(*sys.argv[1:], flush=True)
    if command == "publish" and mood == "hang":
        import signal

        signal.pause()
    if command == "run":
        if mood == "fail":
            sys.exit(1)
        (listed,) = (each for each in sys.argv if each.startswith("HASHFILE:"))
        folder = Path(".asv/results/here")
        folder.mkdir(parents=True, exist_ok=True)
        for commit in Path(listed.partition(":")[2]).read_text().split():
            content = {
                "commit_hash": commit, "env_name": "env", "date": 1700000000000,
                "params": {"machine": "here"}, "result_columns": COLUMNS, "version": 2,
                "results": {"b.track_x": [[1.0], [], "v"], "b.track_y": [None, [], "v"]},
            }  # fmt: skip
            (folder / f"{commit[:8]}-env.json").write_text(json.dumps(content))
        sys.exit(2)  # a benchmark failed


main()
