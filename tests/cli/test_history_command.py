"""``optbench history`` and ``optbench accept``, on made results of asv's in a made repository."""

import json
import math

import pytest
from repositories import Repository

COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a",
           "stats_ci_99_b", "stats_q_25", "stats_q_75", "number", "repeat", "samples"]  # fmt: skip

NAME = "optimizers.Convergence.track_steps_to_target"


def keep(root, commit, steps, *, machine="here", env="env", version="v"):
    """Results of a commit: Adam on beale and l1."""
    folder = root / ".asv" / "results" / machine
    folder.mkdir(parents=True, exist_ok=True)
    declared = {NAME: {"param_names": ["optimizer", "problem"], "unit": "gradient evaluations"}}
    (folder.parent / "benchmarks.json").write_text(json.dumps(declared))
    params = [["'tinyopt:Adam'"], ["'beale'", "'l1'"]]
    tail = [None] * 8, [[steps] * 8, [50.0] * 8]
    content = {
        "commit_hash": commit, "env_name": env, "date": 1700000000000, "version": 2,
        "params": {"machine": machine}, "result_columns": COLUMNS,
        "results": {NAME: [[steps, 50.0], params, version, *tail[0], tail[1]]},
    }  # fmt: skip
    (folder / f"{commit[:8]}-{env}.json").write_text(json.dumps(content))


@pytest.fixture
def repository(workplace, monkeypatch):
    made = Repository.make(workplace / "a repository")
    (made.root / ".gitignore").write_text(".asv/\n.optbench/\n")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def commits(repository):
    """Three commits, whose second makes Adam need half as many steps again."""
    made = [repository.commit(f"number {n}") for n in range(3)]
    for commit, steps in zip(made, (100.0, 150.0, 150.0), strict=True):
        keep(repository.root, commit, steps)
    return made


def test_it_names_the_commit_and_fails_where_it_is_told_to(optbench, commits):
    done = optbench("history")
    assert done.code == 0
    assert f"{commits[1][:10]} number 1" in done.out
    assert "regressed" in done.out
    assert "x1.5" in done.out
    assert commits[2][:10] not in done.out
    assert optbench("history", "--fail-on-new").code == 1


def test_what_is_accepted_fails_no_more_and_what_comes_after_does(optbench, commits, repository):
    done = optbench("accept", commits[1], "steps_to_target", "--why", "it is stabler")
    assert done.code == 0
    done = optbench("history", "--fail-on-new")
    assert done.code == 0
    assert "accepted: it is stabler" in done.out
    keep(repository.root, repository.commit("worse again"), 200.0)
    assert optbench("history", "--fail-on-new").code == 1


def test_only_what_was_asked_for(optbench, commits):
    assert optbench("history", "-p", "l1").out.strip() == ""
    assert "x1.5" in optbench("history", "-o", "tinyopt:*", "-m", "steps*").out
    done = optbench("history", "-p", "nowhere")
    assert done.code == 2
    assert "asked for" in done.err


def test_the_frame_as_a_file(optbench, commits, tmp_path):
    import pandas as pd

    assert optbench("history", "--csv", str(tmp_path / "h.csv")).code == 0
    frame = pd.read_csv(tmp_path / "h.csv")
    assert len(frame) == 6
    assert {"commit", "metric", "value", "samples"} <= set(frame.columns)


def test_another_machine_or_environment_is_kept_apart(optbench, commits, repository):
    head = repository.commit("elsewhere")
    keep(repository.root, head, 900.0, machine="there")
    keep(repository.root, head, 900.0, env="other")
    done = optbench("history")
    assert head[:10] not in done.out
    assert "2 machines and 2 environments, each on its own" in done.err


def test_damaged_and_foreign_files_are_said_and_the_rest_is_read(optbench, commits, repository):
    folder = repository.root / ".asv" / "results" / "here"
    (folder / "broken-env.json").write_text("{")
    (folder / "foreign.json").write_text('{"name": "somebody"}')
    done = optbench("history")
    assert done.code == 0
    assert "x1.5" in done.out
    assert "broken-env.json" in done.err
    assert "foreign.json" in done.err


def test_bare_infinities_are_failures(optbench, commits, repository):
    head = repository.commit("diverges")
    keep(repository.root, head, math.inf)
    done = optbench("history", "--fail-on-new")
    assert done.code == 1
    assert "fails" in done.out


def test_commits_beside_the_line_are_said_and_kept_apart(optbench, commits, repository):
    repository.git("checkout", "--quiet", "-b", "aside", commits[0])
    keep(repository.root, repository.commit("aside"), 900.0)
    repository.git("checkout", "--quiet", "main")
    done = optbench("history")
    assert "aside" not in done.out
    assert "off the first-parent line left out" in done.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("history", "--asv", "none"), "no such folder"),
        (("history", "--store", "none.sqlite"), "no store"),
        (("accept", "nowhere", "steps_to_target", "--why", "x"), "not a commit"),
        (("accept", "HEAD", "steps_to_traget", "--why", "x"), "did you mean steps_to_target"),
        (("accept", "HEAD", "steps_to_target", "--why", " "), "empty"),
        (("accept", "--", "-x", "steps_to_target"), "why"),
    ],
)
def test_wrong_use(optbench, commits, arguments, why):
    done = optbench(*arguments)
    assert done.code == 2
    assert why in done.err


def test_nothing_to_tell(optbench, repository):
    done = optbench("history")
    assert done.code == 2
    assert "no results" in done.err


def test_a_damaged_file_of_acceptances_is_said(optbench, commits, repository):
    (repository.root / "accepted.toml").write_text("[[accepted]]\ncommit = 'x'\n")
    done = optbench("history")
    assert done.code == 2
    assert "accepted.toml" in done.err


def test_outside_a_repository(optbench, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    done = optbench("history")
    assert done.code == 2
    assert "no git repository" in done.err


@pytest.mark.parametrize("command", [("history",), ("accept", "HEAD", "maths", "--why", "wanted")])
def test_outside_of_a_repository_there_is_nothing_else_to_give(optbench, command):
    code, _, err = optbench(*command)
    assert code == 2
    assert "is in no git repository: give --repo\n" in err
