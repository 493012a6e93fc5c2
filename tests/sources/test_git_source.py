"""A revision is checked out beside the user's repository, of which nothing changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optbench.sources import SourceError, Tree, parse, prepare
from optbench.sources.git import borrow, check_out, is_shallow, resolve, status_note, top_level
from optbench.sources.source import WITHOUT_GIT, WORKING_TREE

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.org")
OWN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
"""No git configuration but the repository's own."""


def without_git() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


class Repository:
    """A git repository with a package of one module in ``src/``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def make(cls, root: Path, *options: str) -> Repository:
        """Two commits: the number is one, then two."""
        made = cls(root)
        root.mkdir(parents=True)
        made.git("init", "--quiet", "--initial-branch=main", *options)
        for number, subject in enumerate(("first number", "second number"), start=1):
            made.commit(subject, number)
        return made

    def git(self, *arguments: str) -> str:
        """What git answers."""
        answer = subprocess.run(
            ["git", *IDENTITY, "-C", str(self.root), *arguments],
            capture_output=True, text=True, check=True, env=without_git() | OWN,
        )  # fmt: skip
        return answer.stdout.strip()

    @property
    def module(self) -> Path:
        return self.root / "src" / "tinyopt" / "__init__.py"

    def write(self, number: int) -> None:
        self.module.parent.mkdir(parents=True, exist_ok=True)
        self.module.write_text(f"NUMBER = {number}\n", "utf-8")

    def commit(self, subject: str, number: int) -> str:
        """Commit everything; gives the hash."""
        self.write(number)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def clone(self, name: str, *options: str) -> Repository:
        """A clone beside it, over the protocol: a plain copy would ignore the options."""
        root = self.root.with_name(name)
        source = f"file://{self.root}"
        self.git("clone", "--quiet", *options, source, str(root))
        return Repository(root)

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Everything below the root and in the common folder of git: time and bytes."""
        common = (self.root / self.git("rev-parse", "--git-common-dir")).resolve()
        return {
            str(each): (each.lstat().st_mtime_ns, each.read_bytes() if each.is_file() else b"")
            for top in {self.root, common}
            for each in (top, *top.rglob("*"))
        }

    def state(self) -> dict[str, object]:
        """All that a user could see a difference in."""
        state: dict[str, object] = {"files": self.files()}
        for asked in (
            ("status", "--porcelain=v2", "--branch", "--untracked-files=all"),
            ("for-each-ref",),
            ("branch", "--show-current"),
            ("reflog", "show", "--all"),
            ("stash", "list"),
            ("worktree", "list", "--porcelain"),
            ("config", "--list", "--local"),
        ):
            state[asked[0]] = self.git("--no-optional-locks", *asked)
        assert self.files() == state["files"]  # looking changes nothing
        return state


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - without_git().keys():
        monkeypatch.delenv(name)
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Repository.make(tmp_path_factory.mktemp("template") / "repository").root


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Repository:
    """A copy: its index is out of date, and whoever asks for the status would write it anew."""
    return Repository(shutil.copytree(template, tmp_path / "repository"))


@pytest.fixture
def lived_in(repository: Repository) -> Iterator[Repository]:
    """With all that git keeps of work in progress; at the end it must be as it was."""
    git = repository.git
    git("branch", "feature", "HEAD~1")
    git("tag", "-m", "a release", "v1.0", "HEAD~1")
    repository.write(3)
    git("stash", "push", "--quiet")
    git("worktree", "add", "--quiet", "--detach", "../linked", "HEAD~1")
    hook = repository.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho ran >&2\nexit 1\n")
    hook.chmod(0o755)
    for name in ("staged", "untracked"):
        (repository.root / name).write_text(name)
    git("add", "staged")
    repository.write(4)
    # Again an index that is out of date.
    (repository.root / "kept").touch()
    git("add", "kept")
    git("commit", "--quiet", "-m", "kept", "kept")
    os.utime(repository.root / "kept", (1, 1))
    before = repository.state()
    yield repository
    assert repository.state() == before


def number(tree: Tree) -> int:
    """What the module says, read in a namespace of its own."""
    found: dict[str, int] = {}
    exec((tree.path / "tinyopt" / "__init__.py").read_text("utf-8"), found)
    return found["NUMBER"]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(SourceError) as refused:
        call()
    return str(refused.value)


# Nothing of the user's changes.


def test_a_revision_is_made_importable_and_the_repository_stays_as_it_was(
    lived_in: Repository, tmp_path: Path
) -> None:
    for text, expected in {
        "HEAD": 2, "@": 2, "main": 2, "main@{0}": 2, "HEAD~1": 2, "HEAD~2": 1, "feature": 1,
        "v1.0": 1, "refs/tags/v1.0": 1, "HEAD^{/first}": 1, "stash@{0}": 3,
    }.items():  # fmt: skip
        folder = tmp_path / f"of {text.replace('/', ' ')}"
        tree = prepare(parse(text), folder, repository=lived_in.root)
        assert number(tree) == expected, text
        commit = lived_in.git("rev-parse", f"{text}^{{commit}}")
        assert tree == Tree(text, folder / "src", ("tinyopt",), commit)


def test_the_working_tree_is_used_where_it_is_and_stays_as_it_was(
    lived_in: Repository, tmp_path: Path
) -> None:
    tree = prepare(WORKING_TREE, tmp_path / "base", repository=lived_in.root)
    assert number(tree) == 4
    assert (tree.label, tree.path) == ("working tree", lived_in.root / "src")
    assert tree.version == lived_in.git("rev-parse", "HEAD")
    assert tree.note == "3 uncommitted changes"
    assert not (tmp_path / "base").exists()


def test_what_is_refused_changes_nothing_either(lived_in: Repository, tmp_path: Path) -> None:
    for text in ("nowhere", "v1", "--all", "stash@{7}", "HEAD:src"):
        refusal(lambda text=text: resolve(lived_in.root, text))
    folder = borrow(lived_in.root, tmp_path / "base")
    assert "cannot check out" in refusal(lambda: check_out(folder, "0" * 40))


def test_the_checkout_s_own_branches_and_index_are_its_own(
    repository: Repository, tmp_path: Path
) -> None:
    before = repository.state()
    folder = borrow(repository.root, tmp_path / "a" / "base")
    check_out(folder, resolve(repository.root, "HEAD"))
    checkout = Repository(folder)
    checkout.git("checkout", "--quiet", "-b", "scratch")
    checkout.commit("a commit of the checkout's", 10)
    assert checkout.git("rev-list", "--count", "HEAD") == "3"
    assert repository.state() == before


def test_one_checkout_goes_from_commit_to_commit_and_forgets_what_was_changed(
    lived_in: Repository, tmp_path: Path
) -> None:
    folder = borrow(lived_in.root, tmp_path / "base")
    for revision, text in (("HEAD", 2), ("feature", 1), ("stash@{0}", 3), ("HEAD", 2)):
        check_out(folder, resolve(lived_in.root, revision))
        assert Repository(folder).module.read_text() == f"NUMBER = {text}\n"
        Repository(folder).write(99)
    assert not (folder / "staged").exists()
    assert not (folder / "untracked").exists()


def test_a_build_of_the_working_tree_leaves_nothing_in_it(
    repository: Repository, tmp_path: Path
) -> None:
    with_backend(repository)
    before = repository.state()["status"]
    tree = prepare(WORKING_TREE, tmp_path / "base", repository=repository.root, install=True)
    if (number(tree), tree.packages) != (5, ("tinyopt",)):
        pytest.fail("not built")
    assert repository.state()["status"] == before


def test_the_working_tree_is_built_as_it_is_now(lived_in: Repository, tmp_path: Path) -> None:
    # A copy, with what is not committed, and for git the same changes as in the user's own.
    work = Repository(shutil.copytree(lived_in.root, tmp_path / "work", symlinks=True))
    with_backend(work)
    (work.root / ".gitignore").write_text("ignored\n")
    for name in ("ignored", "ünträcked\nname", "sub/link"):
        (work.root / name).parent.mkdir(exist_ok=True)
        (work.root / name).touch()
    (work.root / "sub" / "link").unlink()
    (work.root / "sub" / "link").symlink_to("../kept")
    (work.root / "kept").unlink()
    work.write(6)
    before = work.state()
    tree = prepare(WORKING_TREE, tmp_path / "base", repository=work.root / "src", install=True)
    assert (number(tree), tree.path) == (6, tmp_path / "base-site")
    assert work.state() == before
    copy = Repository(tmp_path / "base")
    assert not (copy.root / "ignored").exists()
    assert (copy.root / "sub" / "link").is_symlink()
    shutil.rmtree(copy.root / "build")  # of the backend
    changes = ("status", "--porcelain", "--untracked-files=all")
    assert copy.git(*changes) == work.git(*changes)


def test_a_folder_of_a_repository_is_built_in_a_copy_of_the_whole(
    repository: Repository, tmp_path: Path
) -> None:
    with_backend(repository)
    (repository.root / ".gitignore").write_text("left\n")
    inner = repository.root / "python"
    for folder in (inner, inner / "left"):
        shutil.copytree(repository.root / "src", folder / "src")
        for name in ("pyproject.toml", "backend.py"):
            shutil.copy(repository.root / name, folder / name)
    before = repository.state()
    for folder in (inner, inner / "left"):  # the second is ignored
        base = tmp_path / f"of {folder.name}"
        tree = prepare(parse(f"dir:{folder}"), base, install=True)
        assert (number(tree), tree.packages) == (5, ("tinyopt",))
        assert (base / ("python" if folder == inner else "") / "build" / "made").exists()
    assert repository.state() == before


def test_submodules_of_the_working_tree_are_built_with_it(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository.make(tmp_path / "other")
    allow = ("-c", "protocol.file.allow=always")
    repository.git(*allow, "submodule", "--quiet", "add", str(other.root), "vendored")
    with_backend(repository)
    prepare(WORKING_TREE, tmp_path / "base", repository=repository.root, install=True)
    assert (tmp_path / "base" / "vendored" / "src" / "tinyopt" / "__init__.py").exists()


def test_a_repository_without_a_commit_is_built_too(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.root.mkdir()
    empty.git("init", "--quiet")
    empty.write(5)
    (empty.root / "pyproject.toml").write_text(BUILD_SYSTEM)
    (empty.root / "backend.py").write_text(BACKEND)
    tree = prepare(WORKING_TREE, tmp_path / "base", repository=empty.root, install=True)
    assert (number(tree), tree.version) == (5, "")


BUILD_SYSTEM = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
BACKEND = """
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path("build").mkdir(exist_ok=True)
    pathlib.Path("build/made").touch()
    name = "tinyopt-1.0-py3-none-any.whl"
    info = "tinyopt-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.write("src/tinyopt/__init__.py", "tinyopt/__init__.py")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tinyopt\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "tinyopt/__init__.py,,\\n")
    return name
"""


def with_backend(repository: Repository) -> str:
    """A commit with a build backend that leaves something where the project is, as all do."""
    (repository.root / "pyproject.toml").write_text(BUILD_SYSTEM)
    (repository.root / "backend.py").write_text(BACKEND)
    return repository.commit("a backend", 5)


def test_a_revision_that_must_be_built_is_built_in_its_checkout(
    repository: Repository, tmp_path: Path
) -> None:
    commit = with_backend(repository)
    repository.write(6)
    before = repository.state()
    tree = prepare(parse("HEAD"), tmp_path / "base", repository=repository.root, install=True)
    assert (number(tree), tree.version) == (5, commit)
    assert tree.path == tmp_path / "base-site"
    assert tree.packages == ("tinyopt",)
    assert repository.state() == before


# Repositories of all kinds.


def test_a_shallow_clone_gives_what_it_has_and_says_how_to_get_the_rest(
    repository: Repository, tmp_path: Path
) -> None:
    gone = repository.git("rev-parse", "HEAD~1")
    shallow = repository.clone("shallow", "--depth=1")
    assert is_shallow(shallow.root)
    assert not is_shallow(repository.root)
    before = shallow.state()
    tree = prepare(parse("HEAD"), tmp_path / "base", repository=shallow.root)
    assert number(tree) == 2
    # Its history ends where the clone's does, and is no damaged one.
    assert Repository(tmp_path / "base").git("log", "--format=%s") == "second number"
    for text in ("HEAD~1", gone, "v1.0"):
        message = refusal(lambda text=text: resolve(shallow.root, text))
        assert message.startswith(f"{text!r} is not a commit of {shallow.root}, which is a shallow")
        assert "git fetch --unshallow" in message
        assert "fetch-depth: 0" in message
    assert shallow.state() == before


def test_a_linked_worktree_has_a_head_of_its_own(lived_in: Repository, tmp_path: Path) -> None:
    linked = Repository(lived_in.root.with_name("linked"))
    before = linked.state()
    assert top_level(linked.root / "src") == linked.root
    assert number(prepare(parse("HEAD"), tmp_path / "base", repository=linked.root)) == 1
    assert number(prepare(parse("main"), tmp_path / "head", repository=linked.root)) == 2
    assert linked.state() == before


@pytest.mark.parametrize(
    "name",
    ["with space", "ÄÖ ж 日本", "#hash", '"quoted" \\ and\'', "$HOME `date`;", "-dash", "a:b", "~"],
)
def test_a_path_may_have_any_name(tmp_path: Path, name: str) -> None:
    repository = Repository.make(tmp_path / name / name)
    before = repository.state()
    tree = prepare(
        parse("HEAD~1"), tmp_path / "runs" / name, repository=repository.root / "src" / "tinyopt"
    )
    assert number(tree) == 1
    assert tree.path == tmp_path / "runs" / name / "src"
    assert repository.state() == before


def test_a_path_may_end_with_a_space(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository ")
    assert top_level(repository.root) == repository.root
    assert number(prepare(parse("HEAD"), tmp_path / "base", repository=repository.root)) == 2


def test_a_repository_of_sha256_hashes_is_borrowed_too(tmp_path: Path) -> None:
    probe = subprocess.run(
        ["git", "init", "--quiet", "--object-format=sha256", str(tmp_path / "probe")],
        capture_output=True, check=False,
    )  # fmt: skip
    if probe.returncode:
        pytest.skip("this git knows one kind of hashes only")
    repository = Repository.make(tmp_path / "repository", "--object-format=sha256")
    before = repository.state()
    tree = prepare(parse("HEAD~1"), tmp_path / "base", repository=repository.root)
    assert (number(tree), len(tree.version)) == (1, 64)
    assert repository.state() == before


def test_a_repository_that_borrows_itself_is_borrowed_from(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("clone", "--quiet", "--shared", str(repository.root), str(tmp_path / "second"))
    tree = prepare(parse("HEAD~1"), tmp_path / "base", repository=tmp_path / "second")
    assert number(tree) == 1


def test_a_packed_repository_is_borrowed_from(lived_in: Repository, tmp_path: Path) -> None:
    clone = lived_in.clone("packed")
    clone.git("gc", "--quiet")
    before = clone.state()
    assert number(prepare(parse("v1.0"), tmp_path / "base", repository=clone.root)) == 1
    assert clone.state() == before


def test_a_partial_clone_is_told_to_fetch_the_rest(repository: Repository, tmp_path: Path) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = repository.clone("partial", "--filter=blob:none", "--no-checkout")
    before = partial.state()
    message = refusal(lambda: prepare(parse("HEAD"), tmp_path / "base", repository=partial.root))
    commit = repository.git("rev-parse", "HEAD")
    assert message.startswith(f"cannot check out {commit[:12]}: the repository is a partial clone")
    assert "git fetch --refetch" in message
    assert partial.state() == before


def test_submodules_are_left_out_and_said_to_be(repository: Repository, tmp_path: Path) -> None:
    other = Repository.make(tmp_path / "other")
    allow = ("-c", "protocol.file.allow=always")
    repository.git(*allow, "submodule", "--quiet", "add", str(other.root), "vendored")
    repository.commit("a submodule", 3)
    tree = prepare(parse("HEAD"), tmp_path / "base", repository=repository.root)
    assert tree.note == "submodules are left out"
    assert list((tmp_path / "base" / "vendored").iterdir()) == []
    assert prepare(parse("HEAD~1"), tmp_path / "head", repository=repository.root).note == ""


# What the environment and the configuration say to git.


def test_variables_of_a_hook_do_not_lead_elsewhere(
    lived_in: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository.make(tmp_path / "other")
    other.commit("of another", 7)
    monkeypatch.chdir(lived_in.root)
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(other.root / ".git"))
        hook.setenv("GIT_WORK_TREE", str(other.root))
        hook.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "index"))
        hook.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git" / "objects"))
        hook.setenv("GIT_COMMON_DIR", str(other.root / ".git"))
        hook.setenv("GIT_PREFIX", "src/")
        tree = prepare(parse("HEAD"), tmp_path / "base")
        assert top_level(Path.cwd()) == lived_in.root
        assert status_note(lived_in.root) == "3 uncommitted changes"
    assert number(tree) == 2
    assert tree.version == lived_in.git("rev-parse", "HEAD")


def test_no_hook_runs_and_no_template_is_copied(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\nexit 1\n")
        (hooks / name).chmod(0o755)
    configuration = tmp_path / "gitconfig"
    configuration.write_text(
        f"[init]\ntemplateDir = {hooks.parent}\n[core]\nhooksPath = {hooks}\n"
        "[advice]\ndetachedHead = true\n[status]\nbranch = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    tree = prepare(parse("HEAD~1"), tmp_path / "base", repository=repository.root)
    assert number(tree) == 1
    assert not (tmp_path / "base" / ".git" / "hooks").exists()
    assert status_note(repository.root) == ""
    assert not (tmp_path / "ran").exists()


def test_without_git_it_is_said_so(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as bare:
        bare.setenv("PATH", str(tmp_path))
        message = refusal(lambda: resolve(repository.root, "HEAD"))
    assert message == "git is not installed, or not on the PATH"


# Revisions that are none.


def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.root.mkdir()
    empty.git("init", "--quiet")
    before = empty.files()
    message = refusal(lambda: prepare(parse("HEAD"), tmp_path / "base", repository=empty.root))
    assert message == f"'HEAD' is not a commit of {empty.root}: it has no commit yet"
    assert not (tmp_path / "base").exists()
    assert empty.files() == before


def test_a_working_tree_without_a_commit_has_no_version(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.write(1)
    empty.git("init", "--quiet")
    tree = prepare(WORKING_TREE, tmp_path / "base", repository=empty.root)
    assert (number(tree), tree.version, tree.note) == (1, "", "1 uncommitted change")


def test_a_file_and_a_folder_of_a_commit_are_no_commits(repository: Repository) -> None:
    for text in ("HEAD:src/tinyopt/__init__.py", "HEAD:src"):
        found = repository.git("rev-parse", text)
        for name in (text, found, found[:10]):
            message = refusal(lambda name=name: resolve(repository.root, name))
            assert message.startswith(f"{name!r} is not a commit of {repository.root}")


@pytest.mark.parametrize("revision", ["-x", "--all", "--git-dir", "--exec=touch ran", "--"])
def test_what_begins_with_a_dash_is_never_an_option_of_git_s(
    repository: Repository, revision: str
) -> None:
    before = repository.state()
    message = refusal(lambda: resolve(repository.root, revision))
    assert message.startswith(f"{revision!r} is not a commit of")
    assert repository.state() == before


def test_a_branch_whose_name_begins_with_a_dash_is_found(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD~1")
    repository.git("update-ref", "refs/heads/-x", first)
    assert resolve(repository.root, "-x") == first


def test_a_tag_and_a_short_hash_give_the_full_one(repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD~1")
    repository.git("tag", "-m", "annotated", "v1.0", commit)
    repository.git("tag", "-m", "of a tag", "v1.0-signed", "v1.0")
    assert repository.git("rev-parse", "v1.0") != commit
    for text in ("v1.0", "v1.0-signed", commit[:9], commit, commit.upper()):
        assert resolve(repository.root, text) == commit


def test_a_near_name_is_proposed(repository: Repository) -> None:
    repository.git("branch", "feature/faster-adam")
    repository.git("tag", "v1.0.0")
    assert "did you mean feature/faster-adam?" in refusal(
        lambda: resolve(repository.root, "feature/fast-adam")
    )
    assert "did you mean v1.0.0?" in refusal(lambda: resolve(repository.root, "v1.0.1"))
    message = refusal(lambda: resolve(repository.root, "qqqqqqqq"))
    assert (
        message == f"'qqqqqqqq' is not a commit of {repository.root} (git log --oneline shows them)"
    )


def test_a_branch_that_is_only_at_the_remote_is_named_in_full(repository: Repository) -> None:
    repository.git("branch", "feature")
    clone = repository.clone("clone")
    message = refusal(lambda: resolve(clone.root, "feature"))
    assert message.endswith("did you mean origin/feature? (there is no local branch of that name)")
    assert resolve(clone.root, "origin/feature") == repository.git("rev-parse", "feature")


def test_a_commit_is_found_by_its_subject(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD~1")
    assert resolve(repository.root, ":/first number") == first
    assert resolve(repository.root, "HEAD^{/first number}") == first
    for text in (":/third", ":/first..second", "HEAD^{/a..b}"):
        message = refusal(lambda text=text: resolve(repository.root, text))
        assert message.startswith(f"{text!r} is not a commit of {repository.root} (git log")


def test_what_excludes_a_commit_names_none(repository: Repository) -> None:
    for text in ("^HEAD", "^:/first", "HEAD~1..HEAD", "HEAD~1...HEAD", "HEAD~1..", "..main"):
        assert refusal(lambda text=text: resolve(repository.root, text)) == (
            f"{text!r} is not a commit of {repository.root}: a range is not a revision, give BASE "
            "and HEAD apart"
        )
    for text in ("../nowhere", "a/../b"):  # a path is no range
        assert "range" not in refusal(lambda text=text: resolve(repository.root, text))


@pytest.mark.parametrize("revision", ["HEAD~1..HEAD", "HEAD...main", "HEAD^@", "HEAD^!", "", " "])
def test_what_names_more_or_fewer_than_one_commit_names_none(
    repository: Repository, revision: str
) -> None:
    assert "is not a commit of" in refusal(lambda: resolve(repository.root, revision))


# Where the repository is.


def test_any_folder_of_a_checkout_leads_to_its_top(repository: Repository) -> None:
    assert top_level(repository.module.parent) == top_level(repository.root) == repository.root


def test_a_folder_that_is_in_no_repository_is_told_what_else_there_is(tmp_path: Path) -> None:
    plain = f"{tmp_path} is in no git repository: give --repo"
    assert refusal(lambda: top_level(tmp_path)) == plain
    message = refusal(lambda: top_level(tmp_path, otherwise=WITHOUT_GIT))
    assert message == f"{plain}, or compare folders and releases (dir:PATH, pip:REQUIREMENT)"


def test_a_bare_repository_is_refused_in_git_s_words(repository: Repository) -> None:
    bare = repository.clone("bare.git", "--bare")
    assert "must be run in a work tree" in refusal(lambda: top_level(bare.root))


def test_a_folder_that_is_not_there_is_no_repository(repository: Repository) -> None:
    for path in (repository.root / "nowhere", repository.module):
        assert refusal(lambda path=path: top_level(path)) == f"--repo {path}: no such folder"


def test_uncommitted_changes_are_counted(repository: Repository) -> None:
    assert status_note(repository.root) == ""
    repository.write(8)
    assert status_note(repository.root) == "1 uncommitted change"
    (repository.root / "new").touch()
    assert status_note(repository.root) == "2 uncommitted changes"
