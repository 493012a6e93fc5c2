"""Store and coordinators against a dictionary of runs and one of claims."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select
from test_coordination import shift
from test_store import HERE, result, run

from optbench.engine.identity import key
from optbench.engine.runs import Result, Status
from optbench.store import Store, coordination, schema
from optbench.store.coordination import STALE_S, Claim, Coordinator

RUNS = {key(one): one for one in (run(seed=seed) for seed in range(4))}
NAMES = sorted(RUNS)

MEMORY = Path("/dev/shm")

names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
which_one = st.integers(0, 2)


class StoreIsTwoDictionaries(RuleBasedStateMachine):
    """Three coordinators come, claim, finish, leave and die, each with a store object."""

    @initialize()
    def begin(self) -> None:
        # In memory where there is such a place: it is opened and closed a thousand times.
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.path = str(self.folder / "results.sqlite")
        self.store = Store(self.path, create=True)
        # How often each run was done, and how it ended last.
        self.attempts: dict[str, int] = {}
        self.status: dict[str, Status] = {}
        # Who holds which run; the dead hold what they held until somebody claims.
        self.holder: dict[str, int] = {}
        self.alive: dict[int, tuple[Store, Any, Coordinator]] = {}
        self.dead: list[tuple[Store, Any, Coordinator]] = []
        # Whoever is dead is to stay so, however long a busy machine takes.
        self.patch = mock.patch.object(coordination, "HEARTBEAT_S", 1e6)
        self.patch.start()
        self.next = 0
        self.come()
        self.come()

    def one(self, which: int) -> int:
        return sorted(self.alive)[which % len(self.alive)]

    @precondition(lambda self: len(self.alive) < 3)
    @rule()
    def come(self) -> None:
        store = Store(self.path)
        context = store.coordinate()
        self.alive[self.next] = store, context, context.__enter__()
        self.next += 1

    @precondition(lambda self: self.alive)
    @rule(which=which_one, asked=names, outdated=st.booleans())
    def claim(self, which: int, asked: list[str], outdated: bool) -> None:
        me = self.one(which)
        now = {name: self.attempts.get(name, 0) for name in asked}
        seen = {name: max(count - outdated, 0) for name, count in now.items()}
        done = {name for name in asked if now[name] > seen[name]}
        self.holder = {name: who for name, who in self.holder.items() if who in self.alive}
        mine = {name for name in asked if self.holder.get(name, me) == me}
        self.holder |= dict.fromkeys(mine, me)
        for name in mine & done:
            del self.holder[name]
        said = self.alive[me][2].claim(seen)
        assert said == Claim(frozenset(mine - done), frozenset(done))

    @precondition(lambda self: self.alive)
    @rule(which=which_one, dies=st.booleans())
    def go(self, which: int, dies: bool) -> None:
        me = self.one(which)
        store, context, coordinator = self.alive.pop(me)
        if dies:
            shift(store, -STALE_S - 1, coordinator._number)
            self.dead.append((store, context, coordinator))
        else:
            context.__exit__(None, None, None)
            self.holder = {name: who for name, who in self.holder.items() if who != me}
            store.close()

    @rule(some=names, status=st.sampled_from(Status))
    def add(self, some: list[str], status: Status) -> None:
        results = [
            Result(RUNS[name], status, error="no")
            if status is Status.FAILED
            else result(RUNS[name], status=status)
            for name in some
        ]
        self.store.add(results, HERE)
        for name in some:
            self.attempts[name] = self.attempts.get(name, 0) + 1
            self.status[name] = status
            self.holder.pop(name, None)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def what_is_there_is_there(self) -> None:
        assert self.store.attempts(NAMES) == self.attempts
        assert self.store.count() == len(self.attempts)
        left = [RUNS[n] for n in NAMES if self.status.get(n, Status.FAILED) is Status.FAILED]
        assert self.store.missing([RUNS[name] for name in NAMES]) == left

    @invariant()
    def who_holds_what_is_kept(self) -> None:
        numbers = {each[2]._number: me for me, each in self.alive.items()}
        rows = self.store._database.read(lambda c: c.execute(select(schema.claims)).all())
        kept = {row.key: numbers[row.coordinator] for row in rows if row.coordinator in numbers}
        assert kept == {name: who for name, who in self.holder.items() if who in self.alive}

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for store, context, _ in self.alive.values():
            context.__exit__(None, None, None)
            store.close()
        with self.store.coordinate() as last:
            # Whatever came before: nothing is held by anybody.
            said = last.claim({name: self.attempts.get(name, 0) for name in NAMES})
            assert said.mine == set(NAMES)
        for store, context, _ in self.dead:
            context.__exit__(None, None, None)
            store.close()
        self.patch.stop()
        self.store.close()
        shutil.rmtree(self.folder)


StoreIsTwoDictionaries.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
)
TestStoreIsTwoDictionaries = StoreIsTwoDictionaries.TestCase
