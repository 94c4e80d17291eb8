"""Repositories are looked at now and then, and what webhooks claim is believed when the forge says it too."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.ingest.poller import Poller, jitter, settle
from codequarry.models.hashing import HashEmbedder
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Hook, Job, Repository, Source


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


class World:
    """Repositories on this machine, an index and its ledger, and a poller with a clock of its own."""

    def __init__(self, tmp_path):
        self.settings = Settings(
            tmp_path / "data", store=str(tmp_path / "index"), model="hash:64", local_repositories=True
        )
        self.store = open_store(self.settings.store, create=True)
        self.ledger = open_ledger(self.settings.store, self.settings)
        self.queue, self.clock = LocalQueue(), Clock()
        self.poller = Poller(self.ledger, self.queue, 600, clock=self.clock)
        self.runner = Runner(self.store, self.ledger, self.queue, self.settings, embedder=HashEmbedder(64))

    def register(self, made, **more):
        return self.ledger.register(replace(describe(str(made.folder), self.settings), **more)).repo

    def drain(self):
        while due := self.ledger.due():
            for job in due:
                self.runner.run_one(job.source)

    def shown(self):
        return {state.source.repo for state in self.store.sources() if state.indexed_at}

    def close(self):
        self.store.close()
        self.ledger.close()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def forge(repository):
    made = repository("shop")
    made.commit({"a.py": "one = 1\n"})
    return made


POLLER = Poller(None, None, 600)  # `is_due` asks neither


# -------------------------------------------------------------------------------------------------------------- when to look


@given(st.text(min_size=1, max_size=50), st.floats(0, 2e9))
def test_the_jitter_is_a_fifth_at_most_and_everyone_reckons_it_alike(repo, last):
    assert 0.8 <= jitter(repo, last) <= 1.2
    assert jitter(repo, last) == jitter(repo, last)


def test_the_looks_of_many_repositories_are_spread_over_the_interval():
    tenths = Counter(
        int((jitter(f"github.com/acme/r{number}", 1_800_000_000.0) - 0.8) / 0.04) for number in range(1000)
    )
    assert len(tenths) == 10
    assert max(tenths.values()) < 150


@given(st.floats(1, 2e9), st.floats(0, 2000))
def test_a_repository_is_due_when_eight_to_twelve_minutes_have_passed(polled_at, waited):
    due = POLLER.is_due(Repository("r", "u", polled_at=polled_at), None, polled_at + waited)
    assert due if waited >= 720 else True
    assert not due if waited < 479.99 else True


def test_what_is_under_way_paused_or_cancelled_is_not_due():
    now, source = 1_800_000_000.0, Source("r", "")
    old = Repository("r", "u", polled_at=1.0)
    assert POLLER.is_due(old, None, now)
    assert POLLER.is_due(old, Job(source, state="done", finished_at=1.0), now)
    assert POLLER.is_due(old, Job(source, state="failed", finished_at=1.0), now)
    for state in ("waiting", "running", "cancelled"):
        assert not POLLER.is_due(old, Job(source, state=state), now)
    assert not POLLER.is_due(replace(old, state="paused"), None, now)
    assert not POLLER.is_due(old, Job(source, state="failed", finished_at=now - 60), now)  # a failure counts as a look
    assert not Poller(None, None, 0).is_due(old, None, now)


def test_what_the_forge_does_not_give_us_is_looked_at_rarely():
    now = 1_800_000_000.0
    for state in ("gone", "denied"):
        assert not POLLER.is_due(Repository("r", "u", polled_at=now - 2000, state=state), None, now)
        assert POLLER.is_due(Repository("r", "u", polled_at=now - 4400, state=state), None, now)


def test_a_round_asks_once_for_each_that_is_due(world, forge, repository):
    repo, other = world.register(forge), world.register(repository("other"), state="paused")
    assert world.poller.round() == [repo]
    assert world.poller.round() == []
    (job,) = world.ledger.jobs()
    assert (job.source, job.reason, job.state) == (Source(repo, ""), "poll", "waiting")
    assert other not in world.poller.round()


def test_a_push_of_which_no_webhook_told_is_found(world, forge):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    head = forge.commit({"a.py": "two = 2\n"})
    world.clock.now = world.ledger.repository(repo).polled_at + 479
    assert world.poller.round() == []
    world.clock.now += 242
    assert world.poller.round() == [repo]
    world.drain()
    assert [state.commit for state in world.store.sources()] == [head]


def test_a_look_that_finds_nothing_new_indexes_nothing(world, forge):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    before = world.ledger.job(Source(repo, "main"))
    world.clock.now = world.ledger.repository(repo).polled_at + 721
    assert world.poller.round() == [repo]
    world.drain()
    assert world.ledger.job(Source(repo, "main")) == before


def test_the_loop_goes_round_until_it_is_stopped(world, forge):
    class Asked(threading.Event):
        def poke(self, kind, source):
            self.set()

    world.register(forge)
    queue, stop = Asked(), threading.Event()
    poller = Poller(world.ledger, queue, 10)  # a round each second
    thread = threading.Thread(target=poller.loop, args=(stop,))
    thread.start()
    assert queue.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


# ------------------------------------------------------------------------------------------------------- what webhooks claim


@pytest.mark.parametrize("kind", ["deleted", "private"])
def test_a_repository_that_is_said_to_be_gone_is_removed_when_it_is(world, forge, kind):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    assert world.shown() == {repo}
    shutil.rmtree(forge.folder)
    world.ledger.update(repo, told=f"{kind} {world.ledger.job(Source(repo, '')).finished_at}")
    world.poller.round()  # asks, since the last look was before
    assert world.shown() == {repo}
    world.drain()
    assert world.ledger.repository(repo).state == "gone"
    world.poller.round()
    world.drain()
    assert world.ledger.repositories() == []
    assert world.shown() == set()


@pytest.mark.parametrize("kind", ["deleted", "private"])
def test_a_repository_that_is_only_said_to_be_gone_stays(world, forge, kind):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    world.ledger.update(repo, told=f"{kind} {world.ledger.job(Source(repo, '')).finished_at}")
    for _ in range(3):
        world.poller.round()
        world.drain()
    assert world.ledger.repository(repo).told == ""
    assert world.shown() == {repo}


def test_one_that_was_denied_before_is_not_removed_without_another_look(world, forge):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    world.ledger.update(repo, state="denied", told=f"deleted {world.ledger.job(Source(repo, '')).finished_at}")
    world.poller.round()
    assert world.ledger.repository(repo) is not None
    world.drain()
    world.poller.round()
    assert world.ledger.repository(repo).told == ""
    assert world.ledger.repository(repo).state == "active"


def test_a_renamed_repository_is_searched_under_its_old_name_until_the_new_one_is_indexed(world, forge, tmp_path):
    repo = world.register(forge, provider="github", provider_id="github.com/7", access=("staff",), branches=("main",))
    world.poller.round()
    world.drain()
    world.ledger.save_hook(Hook("0123456789", "github", repo, ("secret",)))
    forge.folder.rename(tmp_path / "store")
    new = f"local{tmp_path}/store"
    old = world.ledger.update(repo, told=f"renamed {new} file://{tmp_path}/store")
    for _ in range(2):  # as often as one likes
        settle(world.ledger, world.queue, old)
        registered = world.ledger.repository(new)
        assert (registered.access, registered.branches, registered.told) == (("staff",), ("main",), "")
        assert world.ledger.hook("0123456789").repo == new
        assert world.ledger.find("github", "github.com/7").repo == new
        assert world.shown() == {repo}
        old = world.ledger.repository(repo)
    world.runner.run_one(Source(new, ""))
    world.poller.round()
    assert world.ledger.repository(repo) is not None  # the look is done, and nothing is indexed yet
    world.drain()
    assert world.shown() == {repo, new}
    world.poller.round()
    world.drain()
    assert world.shown() == {new}
    assert [known.repo for known in world.ledger.repositories()] == [new]
    assert world.ledger.hook("0123456789").secrets == ("secret",)


def test_a_rename_to_what_is_not_there_removes_nothing(world, forge, tmp_path):
    repo = world.register(forge)
    world.poller.round()
    world.drain()
    world.ledger.update(repo, told=f"renamed local{tmp_path}/nowhere file://{tmp_path}/nowhere")
    for _ in range(3):
        world.poller.round()
        world.drain()
    assert world.shown() == {repo}
    assert world.ledger.repository(repo) is not None
