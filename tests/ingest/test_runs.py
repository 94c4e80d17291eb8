"""A run keeps its lease while it lives, and ends when it has to."""

from __future__ import annotations

import threading

import pytest

from codequarry.errors import StoreError
from codequarry.ingest import runs
from codequarry.ingest.runs import Run, Stopped
from codequarry.store import open_ledger
from codequarry.types import Progress, Repository, Source

MAIN = Source("git.example/api", "main")
LIMITS = {"lease_s": 60.0, "limit_s": 3600.0, "beat_s": 60.0}


@pytest.fixture
def ledger(tmp_path):
    ledger = open_ledger(str(tmp_path))
    ledger.register(Repository(MAIN.repo, "https://git.example/api"))
    ledger.want(MAIN)
    yield ledger
    ledger.close()


@pytest.fixture
def lease(ledger):
    return ledger.take(MAIN, "me", 60)


class Counted:
    """A lease that tells when it was renewed."""

    def __init__(self, lease):
        self._lease, self.renewals, self.renewed = lease, 0, threading.Semaphore(0)

    def __getattr__(self, name):
        return getattr(self._lease, name)

    def renew(self, progress=None):
        held = self._lease.renew(progress)
        self.renewals += 1
        self.renewed.release()
        return held


def test_a_lease_is_renewed_while_nothing_is_said(lease):
    counted = Counted(lease)
    with Run(counted, **LIMITS | {"beat_s": 0.001}):
        for _ in range(3):
            assert counted.renewed.acquire(timeout=60)
    after = counted.renewals
    assert after >= 3 and not threading.Event().wait(0.01) and counted.renewals == after, "and not longer"


def test_progress_is_written_at_the_first_step_of_a_phase(ledger, lease):
    with Run(lease, **LIMITS) as run:
        run(Progress("reading", None, 1, 9))
        run(Progress("reading", None, 2, 9))
        assert ledger.job(MAIN).progress.files_done == 1
        run(Progress("publishing", None, 9, 9))
        assert ledger.job(MAIN).progress.phase == "publishing"


def test_a_cancelled_job_stops_at_the_next_phase_or_beat(ledger, lease):
    with Run(lease, **LIMITS) as run:
        run(Progress("reading"))
        ledger.cancel(MAIN)
        run(Progress("reading"))
        with pytest.raises(Stopped) as stopped:
            run(Progress("publishing"))
    assert stopped.value.reason == "lost"


def test_a_process_that_ends_stops_its_run(lease):
    ending = threading.Event()
    with Run(lease, ending=ending, **LIMITS) as run:
        run(Progress("reading"))
        ending.set()
        with pytest.raises(Stopped) as stopped:
            run(Progress("reading"))
    assert stopped.value.reason == "ending"


def test_a_run_is_stopped_at_its_limit(lease):
    counted = Counted(lease)
    with Run(counted, **LIMITS | {"beat_s": 0.001, "limit_s": 0.0}) as run:
        assert counted.renewed.acquire(timeout=60)
        assert counted.renewed.acquire(timeout=60)
        with pytest.raises(Stopped) as stopped:
            run(Progress("reading"))
            run(Progress("reading"))
    assert stopped.value.reason == "limit"


def test_a_run_that_hangs_is_given_up_and_whoever_has_it_is_told(ledger, lease, monkeypatch):
    monkeypatch.setattr(runs, "GRACE_S", 0.0)
    hung = threading.Event()
    with Run(lease, **LIMITS | {"beat_s": 0.001, "limit_s": 0.0}, on_hang=hung.set):
        assert hung.wait(60)
    job = ledger.job(MAIN)
    assert (job.state, job.attempts) == ("waiting", 1) and "hung" in job.error


def test_a_run_without_its_ledger_goes_on_until_its_lease_must_have_lapsed(lease):
    class Dead(Counted):
        def renew(self, progress=None):
            self.renewed.release()
            raise StoreError("not there", retryable=True)

    dead = Dead(lease)
    with Run(dead, **LIMITS | {"beat_s": 0.001}) as run:
        run._latest = Progress("reading")
        assert dead.renewed.acquire(timeout=60)
        run(Progress("reading"))
    lapsed = Dead(lease)
    with Run(lapsed, **LIMITS | {"beat_s": 0.001, "lease_s": 0.0}) as run:
        run._latest = Progress("reading")
        assert lapsed.renewed.acquire(timeout=60)
    with pytest.raises(Stopped):
        run(Progress("reading"))
