"""Results on a branch: nothing is lost, nothing else is touched, nothing foreign gets in."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from optbench.engine.plan import Selection, plan
from optbench.nightly import data_branch
from optbench.nightly.data_branch import DataBranch
from optbench.runner import fill
from optbench.store import Store

if TYPE_CHECKING:
    from conftest import Optbench

REF = "refs/heads/optbench-data"
There = Callable[..., tuple[int, str]]
Clone = Callable[..., Path]

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.org")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No user's own git settings, no name to commit under, and a cache of the test's own."""
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    answer = subprocess.run(
        ["git", *IDENTITY, "-C", str(folder), *arguments],
        input=stdin, capture_output=True, check=True,
    )  # fmt: skip
    return answer.stdout.decode().strip()


def filled(path: Path, seeds: tuple[int, ...], rate: float = 0.1) -> Path:
    selection = Selection(
        optimizers=("sgd",), problems=("quadratic",), rates=(rate,), seeds=seeds, budget=30
    )
    with Store(str(path), create=True) as store:
        fill(store, plan([selection]).runs)
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two that share the runs of two seeds, to the last bit, and each with two of its own.

    They number their rows otherwise, as stores with a history of their own do.
    """
    folder = tmp_path_factory.mktemp("stores")
    one = filled(folder / "one.sqlite", (2, 3))
    other = Path(shutil.copy(one, folder / "other.sqlite"))
    filled(one, (0, 1))
    filled(other, (4, 5))
    connection = sqlite3.connect(other)
    connection.executescript("""
        UPDATE problems SET id = 7;
        UPDATE environments SET id = 8;
        UPDATE codes SET id = 9;
        UPDATE runs SET problem_id = 7, environment_id = 8, code_id = 9;
        UPDATE schedules SET id = 10;
        UPDATE traces SET schedule_id = 10;
    """)
    connection.close()
    return {"one": one, "other": other}


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository with one commit on main."""
    made = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    blob = git(made, "hash-object", "-w", "--stdin", stdin=b".optbench/\n.asv/\n")
    tree = git(made, "mktree", stdin=f"100644 blob {blob}\t.gitignore\n".encode())
    git(made, "update-ref", "refs/heads/main", git(made, "commit-tree", tree, "-m", "first"))
    return made


@pytest.fixture
def clone(tmp_path: Path, remote: Path, stores: dict[str, Path]) -> Clone:
    """A clone of the remote, with the results of some commits where they are given."""

    def make(name: str, commits: str = "", store: str = "one") -> Path:
        git(tmp_path, "clone", "--quiet", str(remote), name)
        if commits:
            put_results(tmp_path / name, stores[store], commits)
        return tmp_path / name

    return make


@pytest.fixture
def there(optbench: Optbench, monkeypatch: pytest.MonkeyPatch) -> There:
    """``optbench data-branch`` in a folder: exit status, and what it said."""

    def call(folder: Path, *arguments: object) -> tuple[int, str]:
        monkeypatch.chdir(folder)
        code, _, err = optbench("data-branch", *arguments)
        return code, err

    return call


def put_results(folder: Path, store: Path, commits: str) -> None:
    """What a night leaves: a store, a record and a comparison, and asv's results of commits."""
    notes, asv = folder / ".optbench", folder / ".asv/results"
    (notes / "nights").mkdir(parents=True)
    shutil.copy(store, notes / "results.sqlite")
    record = {"started": f"2024-01-0{len(commits)}T03:00:00", "commits": commits}
    (notes / "nights.jsonl").write_text(json.dumps(record) + "\n")
    (notes / "nights" / f"{commits}.json").write_text('{"schema": 1}')
    (asv / "ci").mkdir(parents=True)
    (asv / "benchmarks.json").write_text('{"version": 2}')
    (asv / "ci" / "machine.json").write_text('{"machine": "ci"}')
    for commit in commits:
        # As asv writes what it could not measure.
        (asv / "ci" / f"{commit}-env.json").write_text('{"results": [NaN, Infinity]}')


def results(folder: Path) -> dict[str, bytes]:
    """Every file of the results, but the store and the record of what was fetched."""
    found = [*(folder / ".optbench").rglob("*"), *(folder / ".asv").rglob("*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.is_file() and "sqlite" not in path.name and path.name != "data-branch.json"
    }


def runs(path: Path) -> list[tuple[object, ...]]:
    """Every run with where, on what, and its traces; in no way by the numbers of rows."""
    query = """
        SELECT key, status, seed, hits, final_gap, problem, e.digest, metric, s.steps, t."values"
        FROM runs r JOIN problems p ON p.id = problem_id
        JOIN environments e ON e.id = environment_id
        LEFT JOIN traces t ON t.run_id = r.id LEFT JOIN schedules s ON s.id = t.schedule_id
        ORDER BY key, metric
    """
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def store_of(folder: Path) -> Path:
    return folder / ".optbench" / "results.sqlite"


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_pushed_is_what_a_fresh_clone_pulls(
    clone: Clone, there: There, remote: Path
) -> None:
    one = clone("one", "ab")
    assert there(one, "pull") == (
        0, "there is no branch origin/optbench-data yet: the first push makes it\n"
    )  # fmt: skip
    code, told = there(one, "push")
    assert code == 0, told
    other = clone("other")
    assert not (other / ".optbench").exists()
    code, told = there(other, "pull")
    assert (code, told) == (
        0,
        "origin/optbench-data: runs: 4 there, 4 added; records of nightly runs: 1 added; "
        "files: 5 added\n",
    )
    assert results(other) == results(one)
    assert runs(store_of(other)) == runs(store_of(one))
    # The same results are the same commit's content: nothing is pushed twice.
    before = git(remote, "rev-parse", REF)
    assert there(other, "push") == (
        0,
        "origin/optbench-data: already up to date, nothing to push\n",
    )
    assert git(remote, "rev-parse", REF) == before


def test_the_branch_never_has_more_than_one_commit_and_others_stay(
    clone: Clone, there: There, remote: Path
) -> None:
    folder = clone("one", "a")
    main = git(remote, "rev-parse", "main")
    assert there(folder, "push")[0] == 0
    first = git(remote, "rev-parse", REF)
    filled(store_of(folder), (7,))
    assert there(folder, "push")[0] == 0
    assert git(remote, "rev-parse", REF) != first
    assert git(remote, "rev-list", "--count", REF) == "1"
    refs = git(remote, "for-each-ref", "--format=%(refname)").split()
    assert refs == ["refs/heads/main", REF]
    assert git(remote, "rev-parse", "main") == main
    assert "optbench" in git(remote, "log", "-1", "--format=%an %cn", REF)


def test_a_store_that_is_being_written_to_is_pushed_as_of_one_moment(
    clone: Clone, there: There
) -> None:
    one = clone("one", "a")
    writer = sqlite3.connect(store_of(one), isolation_level=None)
    # Committed, and only in the write-ahead log; and begun, which is nobody else's matter.
    writer.execute("UPDATE runs SET error = 'committed' WHERE seed = 0")
    assert store_of(one).with_name("results.sqlite-wal").stat().st_size
    writer.execute("BEGIN")
    writer.execute("UPDATE runs SET error = 'begun' WHERE seed = 1")
    assert there(one, "push")[0] == 0
    writer.execute("ROLLBACK")
    writer.close()
    other = clone("other")
    assert there(other, "pull")[0] == 0
    found = sqlite3.connect(store_of(other)).execute("SELECT error FROM runs ORDER BY seed")
    assert [error for (error,) in found] == ["committed", None, None, None]


def busy(folder: Path) -> None:
    """In the middle of things, with settings and hooks that a transfer would heed."""
    git(folder, "branch", "mine")
    (folder / "file").write_text("stashed\n")
    git(folder, "add", "--all")
    git(folder, "stash")
    (folder / "file").write_text("staged\n")
    git(folder, "add", "--all")
    (folder / "file").write_text("changed\n")
    for name in ("fetch.prune", "fetch.writeCommitGraph", "push.autoSetupRemote"):
        git(folder, "config", name, "true")
    git(folder, "config", "gc.auto", "1")
    git(folder, "update-ref", "refs/remotes/origin/gone", "HEAD")
    hooks = folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
        (hooks / name).chmod(0o755)


@pytest.mark.parametrize("shallow", [False, True], ids=["whole", "shallow"])
def test_the_checkout_and_its_git_folder_stay_as_they_are_to_the_byte(
    clone: Clone, there: There, tmp_path: Path, remote: Path, stores: dict[str, Path], shallow: bool
) -> None:
    folder = clone("busy")
    if shallow:
        git(folder, "commit", "--quiet", "--allow-empty", "-m", "second")
        git(folder, "push", "--quiet", "origin", "HEAD:main")
        git(tmp_path, "clone", "--quiet", "--depth=1", remote.as_uri(), "shallow")
        folder = tmp_path / "shallow"
    assert (folder / ".git" / "shallow").exists() == shallow
    busy(folder)
    git_folder, checkout = files_below(folder / ".git"), files_below(folder)
    put_results(folder, stores["one"], "a")
    there(folder, "pull")
    assert there(folder, "push")[0] == 0
    shutil.rmtree(folder / ".optbench")
    assert there(folder, "pull")[0] == 0
    assert len(runs(store_of(folder)))
    assert files_below(folder / ".git") == git_folder
    shutil.rmtree(folder / ".optbench")
    shutil.rmtree(folder / ".asv")
    assert files_below(folder) == checkout
    # Nor is anything left of ours.
    cache = tmp_path / "cache" / "runs"
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_who_is_late_pulls_again_and_nothing_of_either_is_lost(
    clone: Clone, there: There, stores: dict[str, Path]
) -> None:
    one, other = clone("one", "a"), clone("other", "bc", "other")
    (other / ".asv/results/benchmarks.json").write_text('{"version": "mine"}')
    for folder in (one, other):
        assert there(folder, "pull")[0] == 0
    assert there(one, "push")[0] == 0
    code, told = there(other, "push")
    assert code == 1
    assert "was not pulled here. Nothing was pushed: optbench data-branch pull adds" in told
    assert there(other, "pull") == (
        0,
        "kept, and differs on the branch (--force takes that one): .asv/results/benchmarks.json\n"
        "origin/optbench-data: runs: 4 there, 2 added, 2 only here; records of nightly runs: "
        "1 added; files: 2 added\n",
    )
    assert there(other, "push")[0] == 0
    code, told = there(one, "push")
    assert code == 1
    assert "was at " in told
    last = clone("last")
    assert there(last, "pull")[0] == 0
    everything = {*runs(stores["one"]), *runs(stores["other"])}
    assert len(everything) == 6 * len(runs(stores["one"])) / 4
    assert set(runs(store_of(last))) == everything
    nights = (last / ".optbench/nights.jsonl").read_text().splitlines()
    assert [json.loads(night)["commits"] for night in nights] == ["a", "bc"]
    assert {"a", "b", "c"} <= {path.name[0] for path in (last / ".asv/results/ci").iterdir()}
    assert json.loads((last / ".asv/results/benchmarks.json").read_text())["version"] == "mine"


def test_a_push_between_our_look_and_our_push_is_not_overwritten(
    clone: Clone, remote: Path, there: There,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = clone("one", "a")
    gather = DataBranch._gather

    def meanwhile(branch: DataBranch, folder: Path, say: data_branch.Say) -> object:
        git(remote, "update-ref", REF, git(remote, "rev-parse", "main"))
        return gather(branch, folder, say)

    monkeypatch.setattr(DataBranch, "_gather", meanwhile)
    code, told = there(one, "push")
    assert code == 1
    assert "error: somebody else pushed: origin/optbench-data is at " in told
    assert git(remote, "rev-parse", REF) == git(remote, "rev-parse", "main")


def test_what_the_branch_has_and_is_missing_here_is_not_dropped_by_accident(
    clone: Clone, there: There
) -> None:
    folder = clone("one", "ab")
    assert there(folder, "push")[0] == 0
    store_of(folder).unlink()
    (folder / ".asv/results/ci/a-env.json").write_text('{"results": [')  # killed while it wrote
    code, told = there(folder, "push")
    assert code == 2
    assert "left out: .asv/results/ci/a-env.json is no JSON object" in told
    assert "would be lost: asv/ci/a-env.json, results.sqlite.gz." in told
    assert there(folder, "pull")[0] == 0
    assert there(folder, "push")[1].endswith("already up to date, nothing to push\n")
    (folder / ".asv/results/ci/a-env.json").unlink()
    assert there(folder, "push", "--drop")[0] == 0
    connection = sqlite3.connect(store_of(folder), isolation_level=None)
    connection.execute("DELETE FROM traces WHERE run_id = (SELECT min(id) FROM runs)")
    connection.execute("DELETE FROM runs WHERE id = (SELECT min(id) FROM runs)")
    connection.close()
    code, told = there(folder, "push")
    assert (code, "would be lost: 1 runs." in told) == (2, True), told
    other = clone("other")
    assert there(other, "pull")[0] == 0
    assert ".asv/results/ci/b-env.json" in results(other)
    assert ".asv/results/ci/a-env.json" not in results(other)


def test_a_run_that_differs_stays_unless_forced_and_a_failed_one_is_healed(
    clone: Clone, there: There, stores: dict[str, Path]
) -> None:
    one, other = clone("one", "a"), clone("other", "a")
    assert there(one, "push")[0] == 0
    connection = sqlite3.connect(store_of(other), isolation_level=None)
    connection.execute("UPDATE runs SET final_gap = 7 WHERE seed = 0")
    connection.execute("UPDATE runs SET status = 'failed', final_gap = NULL WHERE seed = 1")
    connection.close()
    code, told = there(other, "pull")
    assert code == 0
    assert "runs: 4 there, 1 added, 1 differ and are kept (--force" in told
    differing = set(runs(store_of(other))) ^ set(runs(stores["one"]))
    assert {row[2] for row in differing} == {0}
    assert "1 replaced" in there(other, "pull", "--force")[1]
    assert runs(store_of(other)) == runs(stores["one"])


def test_half_a_line_of_a_killed_night_is_said_and_left_out(clone: Clone, there: There) -> None:
    one = clone("one", "a")
    nights = one / ".optbench/nights.jsonl"
    whole = nights.read_bytes()
    nights.write_bytes(whole + b'{"started": "2024-0')
    code, told = there(one, "push")
    assert code == 0
    assert "left out of .optbench/nights.jsonl: damaged lines: 1" in told
    other = clone("other")
    assert there(other, "pull")[0] == 0
    assert (other / ".optbench/nights.jsonl").read_bytes() == whole


def test_a_store_too_large_for_a_host_is_refused_before_it_is_sent(
    clone: Clone, there: There, remote: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = clone("one", "a")
    monkeypatch.setattr(data_branch, "LARGEST", 1000)
    code, told = there(folder, "push")
    assert code == 2
    assert "results.sqlite.gz has 0 MB, and hosts refuse files of more than" in told
    assert "is kept in a database" in told
    assert REF not in git(remote, "for-each-ref")


@pytest.mark.parametrize("how", ["overwritten", "with a hole"])
def test_a_damaged_store_is_not_pushed(
    how: str, clone: Clone, there: There, remote: Path, stores: dict[str, Path]
) -> None:
    folder = clone("one", "a")
    whole = stores["one"]
    content = overwritten(whole.read_bytes()) if how == "overwritten" else without_a_status(whole)
    store_of(folder).write_bytes(content)
    code, told = there(folder, "push")
    assert code == 2
    assert "error: the store " in told
    assert REF not in git(remote, "for-each-ref")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--remote", "upstream"), "has no such remote (it has origin)"),
        (("--branch", "a..b"), "--branch 'a..b' is no valid name of a branch"),
        (("--branch", "main"), "'.gitignore' is no file of optbench's, so this is no data branch"),
        (("--repo", "/"), "is in no git repository"),
    ],
)
def test_wrong_use_is_said(
    clone: Clone, there: There, arguments: tuple[str, ...], said: str
) -> None:
    code, told = there(clone("one"), "pull", *arguments)
    assert (code, said in told) == (2, True), told


def test_nothing_to_push_and_a_branch_of_code_are_refused(
    clone: Clone, there: There, remote: Path, stores: dict[str, Path]
) -> None:
    folder = clone("one")
    code, told = there(folder, "push")
    assert (code, "there is nothing to push" in told) == (2, True)
    put_results(folder, stores["one"], "a")
    before = git(remote, "rev-parse", "main")
    assert there(folder, "push", "--branch", "main")[0] == 2
    assert git(remote, "rev-parse", "main") == before


def test_a_remote_that_cannot_be_reached_is_told_without_its_password(
    clone: Clone, there: There
) -> None:
    folder = clone("one")
    git(folder, "remote", "set-url", "origin", "https://user:secret@127.0.0.1:9/x.git")
    code, told = there(folder, "pull")
    assert code == 2
    assert "git ls-remote: " in told
    assert "secret" not in told


# What somebody else put there.

Row = tuple[str, str, str]


def file(remote: Path, name: str, content: bytes, mode: str = "100644") -> Row:
    return mode, name, git(remote, "hash-object", "-w", "--stdin", stdin=content)


def folder_of(remote: Path, name: str, *rows: Row) -> Row:
    """A folder of any modes and names, also of those that git itself would not write."""
    raw = b"".join(
        f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(digest)
        for mode, name, digest in rows
    )
    made = git(remote, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=raw)
    return "40000", name, made


def put(remote: Path, *rows: Row) -> None:
    """Make the branch hold these, beside a file that is as it should be."""
    whole = folder_of(remote, "nights", file(remote, "theirs.json", b"{}"))
    _, _, tree = folder_of(remote, "", *rows, whole)
    git(remote, "update-ref", REF, git(remote, "commit-tree", tree, "-m", "theirs"))


def below_asv(remote: Path, name: str, content: bytes) -> Row:
    return folder_of(remote, "asv", file(remote, name, content))


def packed(remote: Path, content: bytes) -> Row:
    return file(remote, "results.sqlite.gz", gzip.compress(content))


def store_with(statement: str, store: Path) -> bytes:
    path = Path(shutil.copy(store, store.with_name("theirs.sqlite")))
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA journal_mode = DELETE; {statement}")
    connection.close()
    return path.read_bytes()


def without_a_status(store: Path) -> bytes:
    """A store that opens, with a NULL where its schema has none: only a whole check sees it."""
    path = Path(shutil.copy(store, store.with_name("theirs.sqlite")))
    change = "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, '{}', '{}');"
    before, after = "status VARCHAR(16) NOT NULL", "status VARCHAR(16) /*****/"
    for script in (
        f"PRAGMA journal_mode = DELETE; {change.format(before, after)}",
        f"UPDATE runs SET status = NULL; {change.format(after, before)}",
    ):
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
    return path.read_bytes()


def overwritten(content: bytes) -> bytes:
    return content[: 4096 * 5] + bytes(4096 * 2) + content[4096 * 7 :]


TRIGGER = "CREATE TRIGGER x AFTER INSERT ON runs BEGIN DELETE FROM runs; END;"

# Of the remote, a whole store, and a folder that a name may lead to.
THEIRS: dict[str, tuple[Callable[[Path, Path, Path], Row], str]] = {
    "a link": (
        lambda r, s, t: file(r, "nights.jsonl", b"/etc/passwd", "120000"),
        "'nights.jsonl' is no plain file (mode 120000)",
    ),
    "a link as a folder": (
        lambda r, s, t: file(r, "asv", os.fsencode(t), "120000"),
        "'asv' is no file of optbench's",
    ),
    "a program": (lambda r, s, t: file(r, "nights.jsonl", b"", "100755"), "(mode 100755)"),
    "a repository": (
        lambda r, s, t: ("160000", "nights.jsonl", git(r, "rev-parse", "main")),
        "(mode 160000)",
    ),
    "up": (
        lambda r, s, t: folder_of(r, "asv", folder_of(r, "..", file(r, "x.json", b"{}"))),
        "'asv/../x.json'",
    ),
    "up in one name": (
        lambda r, s, t: file(r, "nights/../../x.json", b"{}"),
        "'nights/../../x.json'",
    ),
    "absolute": (lambda r, s, t: file(r, f"{t}/x.json", b"{}"), "/x.json' is no file of"),
    "absolute below asv": (lambda r, s, t: below_asv(r, f"{t}/x.json", b"{}"), "is no file of"),
    "up by another system's ways": (
        lambda r, s, t: below_asv(r, r"..\x.json", b"{}"),
        "x.json' is no file of",
    ),
    "no text as a name": (lambda r, s, t: below_asv(r, "\udcff.json", b"{}"), "is no file of"),
    "somebody's code": (
        lambda r, s, t: file(r, "setup.py", b"import os"),
        "'setup.py' is no file of optbench's, so this is no data branch",
    ),
    "attributes": (lambda r, s, t: file(r, ".gitattributes", b"* text"), "is no file of"),
    **{
        what: (lambda r, s, t, it=it: below_asv(r, "x.json", it), "asv/x.json is damaged: ")
        for what, it in {
            "half of JSON": b'{"a": ',
            "no text": b"\xff\xfe{}",
            "a list": b"[1]",
            "a pit": b"[" * 100_000,
        }.items()
    },
    "half a record": (
        lambda r, s, t: file(r, "nights.jsonl", b'{"a": 1}\n{"b"'),
        "nights.jsonl is damaged",
    ),
    "no gzip": (
        lambda r, s, t: file(r, "results.sqlite.gz", s.read_bytes()),
        "Not a gzipped file",
    ),
    "half of gzip": (
        lambda r, s, t: file(r, "results.sqlite.gz", gzip.compress(s.read_bytes())[:-2000]),
        "Compressed file ended",
    ),
    "no store": (lambda r, s, t: packed(r, b"x" * 99), "results.sqlite.gz: file is not a database"),
    "an overwritten store": (
        lambda r, s, t: packed(r, overwritten(s.read_bytes())),
        "results.sqlite.gz is damaged",
    ),
    "a store with a hole": (
        lambda r, s, t: packed(r, without_a_status(s)),
        "results.sqlite.gz is damaged: NULL value in runs.status",
    ),
    "a store with a trigger": (
        lambda r, s, t: packed(r, store_with(TRIGGER, s)),
        "holds a trigger, which optbench does not make",
    ),
    "a store with a view": (
        lambda r, s, t: packed(r, store_with("CREATE VIEW x AS SELECT 1;", s)),
        "holds a view, which optbench does not make",
    ),
    "a store with rows of nothing": (
        lambda r, s, t: packed(r, store_with("DELETE FROM environments;", s)),
        "4 rows refer to nothing",
    ),
    "a store with a strange value": (
        lambda r, s, t: packed(r, store_with("UPDATE runs SET status = 'fine';", s)),
        "hold the status 'fine'",
    ),
    "a store of tomorrow": (
        lambda r, s, t: packed(r, store_with("UPDATE optbench_meta SET schema_version=9;", s)),
        "has schema 9, this optbench reads 4",
    ),
}


@pytest.mark.parametrize("case", THEIRS)
def test_what_is_damaged_or_foreign_stays_there_and_what_is_here_stays_here(
    case: str, clone: Clone, there: There, tmp_path: Path, remote: Path, stores: dict[str, Path]
) -> None:
    folder = clone("one", "a", "other")
    make, said = THEIRS[case]
    put(remote, make(remote, stores["one"], tmp_path))
    before = files_below(tmp_path)
    code, told = there(folder, "pull")
    assert (code, said in told) == (2, True), told
    assert "Nothing was changed" in told
    shutil.rmtree(tmp_path / "cache")
    assert files_below(tmp_path) == before


def test_a_bomb_is_not_unpacked_to_the_end(
    clone: Clone, there: There, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clone("one")
    bomb = gzip.compress(bytes(5_000_000))
    put(remote, file(remote, "results.sqlite.gz", bomb))
    monkeypatch.setattr(data_branch, "LARGEST_STORE", 2**20)
    code, told = there(folder, "pull")
    assert (code, "unpacks to more than 1 MB" in told) == (2, True), told
    monkeypatch.setattr(data_branch, "LARGEST", 1000)
    code, told = there(folder, "pull")
    assert (code, "results.sqlite.gz has 0 MB" in told) == (2, True), told


# Killed in the middle.

KILLED = """
import os, signal, sys
from pathlib import Path
from optbench.nightly import data_branch, merge_stores

module = {"data_branch": data_branch, "merge_stores": merge_stores}[sys.argv[1]]
name, calls = sys.argv[2], [0]
before = getattr(module, name)

def last(*arguments, **named):
    calls[0] += 1
    if name == "_merge":
        before(*arguments, **named)  # everything is in, nothing is committed
    if name == "_merge" or calls[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*arguments, **named)

setattr(module, name, last)
notes = Path(".optbench")
data_branch.DataBranch(
    Path.cwd(), "origin", "optbench-data", notes / "results.sqlite", notes, Path(".asv/results")
).pull(print)
"""


@pytest.mark.parametrize("where", ["merge_stores _merge", "data_branch write_whole"])
def test_what_is_killed_leaves_old_or_new_and_the_next_does_the_rest(
    where: str, clone: Clone, there: There, tmp_path: Path, stores: dict[str, Path]
) -> None:
    one, other = clone("one", "abc"), clone("other", "d", "other")
    assert there(one, "push")[0] == 0
    before = results(other)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *where.split()], cwd=other, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    both = set(runs(stores["one"])) | set(runs(stores["other"]))
    midway = set(runs(store_of(other)))
    assert midway == (set(runs(stores["other"])) if "_merge" in where else both)
    for name, content in results(other).items():
        assert content == before.get(name) or name == ".optbench/nights.jsonl" or (
            content == results(one)[name]
        )  # fmt: skip
    assert there(other, "pull")[0] == 0
    assert set(runs(store_of(other))) == both
    assert {*results(one)} <= {*results(other)}
    nights = (other / ".optbench/nights.jsonl").read_text().splitlines()
    assert [json.loads(night)["commits"] for night in nights] == ["d", "abc"]
    assert [p for p in (tmp_path / "cache/runs").iterdir() if p.is_dir()] == []


# As actions/checkout leaves it.

HEADER = "AUTHORIZATION: basic c2VjcmV0"


@pytest.mark.parametrize("how", ["local", "included"])
def test_the_header_of_the_checkout_is_sent_from_the_clone_and_once(
    how: str, clone: Clone, tmp_path: Path
) -> None:
    folder, key = clone("one"), "http.https://example.org/.extraheader"
    if how == "local":
        git(folder, "config", key, HEADER)
    else:
        # Of the .git of this checkout alone.
        included = tmp_path / "credentials"
        git(folder, "config", "--file", str(included), key, HEADER)
        git(folder, "config", f"includeIf.gitdir:{folder}/.git.path", str(included))
    git(folder, "config", "core.worktree", "/elsewhere")  # of this checkout, not of the clone
    branch = DataBranch(folder, "origin", "optbench-data", None, folder, folder)
    git(tmp_path, "init", "--quiet", "clone")
    assert branch._git(tmp_path / "clone", "config", "--get-all", key) == HEADER
    settings = branch._git(tmp_path / "clone", "config", "--list")
    assert "user.useconfigonly=true" in settings  # what the environment had set already
    assert "elsewhere" not in settings


def test_stores_are_merged_by_a_command(
    optbench: Optbench, workplace: Path, stores: dict[str, Path]
) -> None:
    shutil.copy(stores["one"], "one.sqlite")
    code, out, _ = optbench("store", "merge", "one.sqlite", stores["other"])
    assert (code, out) == (0, f"{stores['other']}: runs: 4 there, 2 added, 2 only here\n")
    assert set(runs(workplace / "one.sqlite")) == {*runs(stores["one"]), *runs(stores["other"])}
    before = Path("one.sqlite").read_bytes()
    Path("bad.sqlite").write_bytes(store_with(TRIGGER, stores["other"]))
    code, _, err = optbench("store", "merge", "one.sqlite", "bad.sqlite")
    assert (code, "holds a trigger" in err) == (2, True)
    assert Path("one.sqlite").read_bytes() == before
