"""What every ledger of background work must hold, wherever it is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry.errors import RepositoryNotFound
from codequarry.settings import Settings
from codequarry.store import open_ledger, owner
from codequarry.types import Hook, Progress, Repository, Source

REPO = "git.example/team/api"
WHOLE, MAIN, OLD = Source(REPO, ""), Source(REPO, "main"), Source(REPO, "old")
ME = owner.me()


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("elasticsearch_url", marks=pytest.mark.elasticsearch),
        pytest.param("elasticsearch_8_url", marks=pytest.mark.elasticsearch),
    ]
)
def location(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "index")
    return f"{request.getfixturevalue(request.param)}?prefix={request.getfixturevalue('elasticsearch_prefix')}"


@pytest.fixture
def ledger(location):
    ledger = open_ledger(location)
    ledger.register(Repository(REPO, f"https://{REPO}"))
    yield ledger
    ledger.close()


def run(ledger, source, commit=""):
    lease = ledger.take(source, ME, 60)
    assert lease is not None
    lease.finish(commit)


# ------------------------------------------------------------------------------------------------------------ repositories


def test_a_repository_is_found_by_name_and_by_the_id_of_its_provider(ledger):
    web = ledger.register(
        Repository("git.example/team/web", "https://git.example/team/web", provider="gitlab", provider_id="7")
    )
    assert [repository.repo for repository in ledger.repositories()] == [REPO, web.repo]
    assert ledger.repository(web.repo) == web
    assert ledger.find("gitlab", "7") == web
    assert ledger.find("github", "7") is None
    assert ledger.find("", "") is None
    assert ledger.repository("git.example/team") is None


def test_registering_again_keeps_when_it_was_first_added_and_its_jobs(ledger):
    added = ledger.repository(REPO).added_at
    ledger.want(MAIN)
    again = ledger.register(Repository(REPO, "ssh://git@git.example/team/api", branches=("main",), access=("staff",)))
    assert again.added_at == added > 0
    assert ledger.repository(REPO) == again
    assert again.branches == ("main",)
    assert ledger.job(MAIN).state == "waiting"


def test_fields_of_a_repository_are_changed_one_by_one(ledger):
    ledger.update(REPO, state="denied", note="no token")
    assert ledger.update(REPO, branches=("main", "release/*")).note == "no token"
    assert ledger.repository(REPO).branches == ("main", "release/*")
    with pytest.raises(RepositoryNotFound):
        ledger.update("git.example/none", note="x")


def test_a_name_that_is_no_utf_8_is_kept_as_it_is(ledger):
    repo = "git.example/caf\udce9"
    ledger.register(Repository(repo, "https://git.example/caf%E9"))
    assert ledger.want(Source(repo, "br\udcff")).source == Source(repo, "br\udcff")
    assert repo in [repository.repo for repository in ledger.repositories()]
    run(ledger, Source(repo, "br\udcff"), "c" * 40)
    assert [job.indexed for job in ledger.jobs(repo)] == ["c" * 40]


def test_what_is_written_is_there_for_whoever_opens_the_ledger_next(ledger, location):
    ledger.want(MAIN, commit="a" * 40, reason="push")
    ledger.update(REPO, state="gone")
    other = open_ledger(location)
    assert other.repository(REPO) == ledger.repository(REPO)
    assert other.jobs() == ledger.jobs()
    other.close()


def test_a_removed_repository_leaves_the_list_and_a_job_that_removes_its_traces(ledger):
    ledger.want(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    ledger.save_hook(Hook("h1", "github", REPO))
    ledger.remove(REPO)
    assert ledger.repositories() == [] and ledger.repository(REPO) is None and ledger.removing(REPO)
    assert ledger.hooks() == []
    assert lease.renew() is False, "a run of it is told to stop"
    with pytest.raises(RepositoryNotFound):
        ledger.want(MAIN)
    with pytest.raises(RepositoryNotFound):
        ledger.remove(REPO)
    lease.fail("stopped")
    assert [job.source for job in ledger.due()] == [WHOLE]
    removal = ledger.take(WHOLE, ME, 60)
    assert removal.renew()
    ledger.erase(WHOLE)
    assert ledger.jobs() == [] and not ledger.removing(REPO)
    removal.finish()
    assert ledger.jobs() == []


def test_a_repository_that_is_registered_again_while_it_is_removed_is_not_erased(ledger):
    ledger.remove(REPO)
    removal = ledger.take(WHOLE, ME, 60)
    ledger.register(Repository(REPO, "https://x"))
    ledger.want(WHOLE)
    ledger.erase(WHOLE)
    removal.finish()
    assert ledger.repository(REPO).url == "https://x"
    assert [job.source for job in ledger.due()] == [WHOLE]


# --------------------------------------------------------------------------------------------------------------------- jobs


def test_nothing_can_be_wanted_of_a_repository_that_is_not_registered(ledger):
    with pytest.raises(RepositoryNotFound):
        ledger.want(Source("git.example/none", "main"))


def test_a_wish_is_due_is_taken_and_is_done(ledger):
    job = ledger.want(MAIN, commit="a" * 40, reason="push")
    assert (job.state, job.wanted, job.reason, job.url) == ("waiting", "a" * 40, "push", f"https://{REPO}")
    assert ledger.due() == [job]
    lease = ledger.take(MAIN, ME, 60)
    assert (lease.job.state, lease.job.attempts, lease.job.owner, lease.epoch) == ("running", 1, ME, 1)
    assert lease.repository == ledger.repository(REPO)
    assert ledger.due() == []
    lease.finish("b" * 40)
    done = ledger.job(MAIN)
    assert (done.state, done.indexed, done.attempts, done.wanted_at, done.owner) == ("done", "b" * 40, 0, 0.0, "")
    assert ledger.due() == [] and ledger.take(MAIN, ME, 60) is None


def test_wishes_fold_into_one_that_runs_and_one_that_waits(ledger):
    for _ in range(5):
        ledger.want(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    for _ in range(5):
        assert ledger.want(MAIN).again
    assert ledger.take(MAIN, ME, 60) is None
    lease.finish()
    run(ledger, MAIN)
    assert ledger.job(MAIN).state == "done"


def test_a_wish_for_what_is_indexed_or_runs_changes_nothing(ledger):
    ledger.want(MAIN, commit="a" * 40)
    lease = ledger.take(MAIN, ME, 60)
    assert not ledger.want(MAIN, commit="a" * 40).again
    assert ledger.want(MAIN, commit="b" * 40).again
    lease.finish("a" * 40)
    run(ledger, MAIN, "b" * 40)
    assert ledger.want(MAIN, commit="b" * 40).state == "done"
    assert ledger.want(MAIN, commit="a" * 40).state == "waiting", "a branch may be set back"


def test_only_one_job_of_a_repository_runs_at_a_time(ledger):
    ledger.want(MAIN)
    ledger.want(OLD)
    lease = ledger.take(MAIN, ME, 60)
    assert ledger.take(OLD, ME, 60) is None and ledger.due() == []
    lease.finish()
    second = ledger.take(OLD, ME, 60)
    assert second.epoch > lease.epoch


def test_jobs_are_listed_by_repository_and_state(ledger):
    other = Source("git.example/other", "main")
    ledger.register(Repository(other.repo, "https://git.example/other"))
    for source in (other, MAIN, OLD):
        ledger.want(source)
    run(ledger, OLD)
    assert [job.source for job in ledger.jobs()] == [other, MAIN, OLD]
    assert [job.source for job in ledger.jobs(REPO)] == [MAIN, OLD]
    assert [job.source for job in ledger.jobs(states=["done"])] == [OLD]
    assert ledger.jobs("git.example/none") == []


def test_the_longest_waiting_comes_first(ledger):
    names = [f"git.example/{number}" for number in range(4)]
    for repo in names:
        ledger.register(Repository(repo, f"https://{repo}"))
    for repo in reversed(names):
        ledger.want(Source(repo, ""))
    assert [job.source.repo for job in ledger.due(3)] == names[:0:-1]


def test_a_paused_repository_is_not_begun(ledger):
    ledger.want(MAIN)
    ledger.update(REPO, state="paused")
    assert ledger.due() == [] and ledger.take(MAIN, ME, 60) is None
    ledger.update(REPO, state="active")
    assert ledger.take(MAIN, ME, 60) is not None


def test_a_source_that_is_gone_loses_its_job(ledger):
    ledger.want(MAIN)
    ledger.want(OLD)
    ledger.erase(OLD)
    assert [job.source for job in ledger.jobs()] == [MAIN]
    assert ledger.take(OLD, ME, 60) is None


# ------------------------------------------------------------------------------------------------------- leases and attempts


def test_progress_is_kept_and_shown(ledger):
    ledger.want(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    progress = Progress("reading", None, 3, 10, 300, 1000)
    assert lease.renew(progress)
    job = ledger.job(MAIN)
    assert job.progress == progress
    assert job.lease_until > time.time() + 50
    assert lease.renew()
    assert ledger.job(MAIN).progress == progress


def test_a_lapsed_lease_can_be_taken_and_its_owner_changes_nothing_any_more(ledger):
    ledger.want(MAIN, commit="a" * 40)
    zombie = ledger.take(MAIN, "elsewhere", 0.0)
    assert [job.source for job in ledger.due()] == [MAIN]
    lease = ledger.take(MAIN, ME, 60)
    assert lease.epoch == zombie.epoch + 1 and lease.job.attempts == 2
    assert zombie.renew() is False
    zombie.finish("a" * 40)
    zombie.fail("late")
    zombie.hand_over("embed")
    job = ledger.job(MAIN)
    assert (job.state, job.epoch, job.indexed, job.error, job.queue) == ("running", lease.epoch, "", "", "sync")
    lease.finish("b" * 40)
    zombie.finish("a" * 40)
    assert ledger.job(MAIN).indexed == "b" * 40


def test_a_lease_of_a_killed_process_is_free_at_once(ledger, location):
    ledger.want(MAIN)
    program = f"""
import time
from codequarry.store import open_ledger, owner
from codequarry.types import Source
assert open_ledger({location!r}).take(Source({REPO!r}, "main"), owner.me(), 3600)
print("taken", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"taken\n"
        assert ledger.take(MAIN, ME, 60) is None and ledger.due() == []
        process.kill()
    assert [job.source for job in ledger.due()] == [MAIN]
    assert ledger.take(MAIN, ME, 60).job.attempts == 2


def test_a_job_that_kills_whoever_runs_it_is_given_up_with_a_reason(ledger):
    ledger.want(MAIN)
    begun = 0
    while ledger.take(MAIN, "elsewhere", 0.0):
        begun += 1
    job = ledger.job(MAIN)
    assert begun == 5 and job.state == "failed"
    assert "given up after 5 attempts" in job.error and job.hint
    assert ledger.due() == []


def test_the_number_of_attempts_is_a_setting(location, tmp_path):
    ledger = open_ledger(location, Settings(tmp_path, job_attempts=2))
    ledger.register(Repository(REPO, "https://x"))
    ledger.want(MAIN)
    while lease := ledger.take(MAIN, ME, 60):
        lease.fail("no network", retry_in_s=0.0)
    assert (ledger.job(MAIN).state, ledger.job(MAIN).attempts, ledger.job(MAIN).error) == ("failed", 2, "no network")
    ledger.close()


def test_a_run_that_got_on_does_not_count_as_an_attempt_in_vain(ledger):
    ledger.want(MAIN)
    for done in range(20):
        lease = ledger.take(MAIN, "elsewhere", 0.0)
        assert lease, "killed again and again, but nearer to the end each time"
        lease.renew(Progress("reading", None, done, 100))
    in_vain = 0
    while lease := ledger.take(MAIN, "elsewhere", 0.0):
        lease.renew(Progress("reading", None, 19, 100))
        lease.renew(Progress("reading", None, 50, 100))  # the next one does not find it, so it was not durable
        in_vain += 1
    assert ledger.job(MAIN).state == "failed" and in_vain == 4


def test_a_failed_run_waits_for_its_next_try_with_the_error_shown(ledger):
    ledger.want(MAIN)
    ledger.take(MAIN, ME, 60).fail("no network", hint="check the proxy", retry_in_s=3600)
    job = ledger.job(MAIN)
    assert (job.state, job.error, job.hint, job.attempts) == ("waiting", "no network", "check the proxy", 1)
    assert job.next_try_at > time.time() + 3500 and job.wanted_at > 0
    assert ledger.due() == [] and ledger.take(MAIN, ME, 60) is None
    ledger.retry(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    assert lease.job.attempts == 1
    lease.finish()
    assert ledger.job(MAIN).error == ""


def test_a_failed_job_is_tried_again_for_another_commit_or_by_hand_but_not_for_the_same(ledger):
    ledger.want(MAIN, commit="a" * 40)
    ledger.take(MAIN, ME, 60).fail("cannot be indexed")
    assert ledger.want(MAIN, commit="a" * 40).state == "failed"
    assert ledger.want(MAIN, commit="b" * 40).state == "waiting"
    ledger.take(MAIN, ME, 60).fail("cannot be indexed")
    assert ledger.want(MAIN).state == "waiting"
    ledger.take(MAIN, ME, 60).fail("cannot be indexed")
    assert ledger.retry(MAIN).state == "waiting"
    assert ledger.retry(Source(REPO, "none")) is None


def test_a_wish_that_came_during_a_run_that_failed_for_good_is_tried(ledger):
    ledger.want(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    ledger.want(MAIN)
    lease.fail("cannot be indexed")
    run(ledger, MAIN, "b" * 40)
    assert ledger.job(MAIN).state == "done"


def test_a_job_that_is_handed_over_waits_in_the_other_queue_and_fails_there(ledger):
    ledger.want(MAIN)
    ledger.take(MAIN, ME, 60).hand_over("embed")
    job = ledger.job(MAIN)
    assert (job.state, job.queue, job.attempts, job.error) == ("waiting", "embed", 0, "")
    assert ledger.due(queues=["sync"]) == [] and ledger.due(queues=["embed"]) == [job]
    ledger.take(MAIN, ME, 60).fail("no model", retry_in_s=0.0)
    assert (ledger.job(MAIN).queue, ledger.job(MAIN).attempts) == ("embed", 1)
    run(ledger, MAIN)
    assert ledger.job(MAIN).queue == "sync"


# ------------------------------------------------------------------------------------------------------------------- cancel


def test_a_waiting_job_is_cancelled_at_once_and_stays_so_until_there_is_something_new(ledger, location):
    ledger.want(MAIN, commit="a" * 40)
    assert ledger.cancel(MAIN).state == "cancelled"
    other = open_ledger(location)
    assert other.take(MAIN, ME, 60) is None and other.due() == []
    assert other.want(MAIN, commit="a" * 40).state == "cancelled"
    assert other.want(MAIN, commit="b" * 40).state == "waiting"
    assert ledger.cancel(Source(REPO, "none")) is None
    other.close()


def test_a_running_job_is_told_to_stop_at_its_next_step(ledger):
    ledger.want(MAIN)
    lease = ledger.take(MAIN, ME, 60)
    assert lease.renew()
    ledger.want(MAIN)
    assert ledger.cancel(MAIN).cancel
    assert lease.renew() is False
    lease.fail("stopped", retry_in_s=0.0)
    job = ledger.job(MAIN)
    assert (job.state, job.cancel, job.again) == ("cancelled", False, False)


def test_a_job_whose_worker_died_before_it_saw_the_cancel_does_not_run_again(ledger):
    ledger.want(MAIN)
    lease = ledger.take(MAIN, "elsewhere", 60)
    ledger.cancel(MAIN)
    assert lease.renew() is False
    ledger.want(OLD)
    # The worker is gone: its lease lapses without another word.
    short = ledger.take(MAIN, ME, 60)
    assert short is None
    lapse(ledger, lease)
    assert ledger.take(MAIN, ME, 60) is None
    assert ledger.job(MAIN).state == "cancelled"
    assert [job.source for job in ledger.due()] == [OLD]


def lapse(ledger, lease):
    def change(row):
        return replace(row, lease=replace(row.lease, until=0.0))

    ledger._rows.change(lease.job.source.repo, change)


def test_what_is_done_cannot_be_cancelled(ledger):
    ledger.want(MAIN)
    run(ledger, MAIN)
    assert ledger.cancel(MAIN).state == "done"


# -------------------------------------------------------------------------------------------------------------------- hooks


def test_hooks_keep_their_secrets_and_their_last_delivery(ledger):
    hook = Hook("h1", "gitlab", REPO, ("old", "new"))
    ledger.save_hook(hook)
    ledger.save_hook(Hook("h2", "github"))
    stored = ledger.hook("h1")
    assert (stored.secrets, stored.repo, stored.provider, stored.last) == (("old", "new"), REPO, "gitlab", {})
    assert "old" not in repr(stored)
    ledger.delivery("h1", {"event": "push", "status": 202, "at": 12.5})
    ledger.save_hook(replace(stored, secrets=("new",)))
    assert ledger.hook("h1").last == {"event": "push", "status": 202, "at": 12.5}
    assert ledger.hook("h1").secrets == ("new",) and ledger.hook("h1").added_at == stored.added_at > 0
    assert [found.id for found in ledger.hooks()] == ["h1", "h2"]
    assert [found.id for found in ledger.hooks(REPO)] == ["h1"]
    assert ledger.delete_hook("h1") and not ledger.delete_hook("h1")
    assert ledger.hook("h1") is None


# -------------------------------------------------------------------------------------------------------------- many at once


def test_of_many_who_take_at_once_one_gets_it_and_no_wish_is_lost(ledger, location):
    ledger.want(MAIN)
    together, over, holders, ran, most = threading.Barrier(4), threading.Event(), [], [], 6

    def worker():
        mine = open_ledger(location)
        together.wait()
        try:
            while len(ran) < most and not over.is_set():
                if lease := mine.take(MAIN, ME, 60):
                    holders.append(lease.epoch)
                    assert len(holders) == 1, "two run at once"
                    ran.append(lease.epoch)
                    mine.want(MAIN)
                    holders.clear()
                    lease.finish()
        finally:
            over.set()
            mine.close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(worker) for _ in range(4)]:
            done.result()
    assert ran == sorted(set(ran)), "each run has an epoch of its own"
    assert ledger.job(MAIN).state == "waiting", "the last wish is still open"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["want", "push", "take", "die", "finish", "fail", "retry", "cancel", "register", "remove"]),
        st.sampled_from([WHOLE, MAIN, OLD]),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_a_wish_is_run_after_it_was_made_unless_someone_stopped_it(tmp_path_factory, steps):
    ledger = open_ledger(str(tmp_path_factory.mktemp("ledger")))
    ledger.register(Repository(REPO, "https://x"))
    live, open_wishes = None, set()
    try:
        for number, (step, source) in enumerate(steps):
            if step == "register":
                ledger.register(Repository(REPO, "https://x"))
            elif step == "remove" and ledger.repository(REPO):
                ledger.remove(REPO)
                open_wishes.clear()
            elif step in ("want", "push") and ledger.repository(REPO):
                ledger.want(source, commit=f"{number:040x}" if step == "push" else "")
                open_wishes.add(source)
            elif step == "take":
                taken = ledger.take(source, ME, 60)
                assert not (taken and live), "two run at once"
                if taken:
                    open_wishes.discard(source)
                    live = taken
            elif step == "die" and live:
                lapse(ledger, live)
                job = ledger.job(live.job.source)
                if job and job.epoch == live.epoch:  # else the repository was removed meanwhile, and the job with it
                    open_wishes.add(live.job.source)
                live = None
            elif step in ("finish", "fail") and live:
                live.finish("f" * 40) if step == "finish" else live.fail("broken", retry_in_s=None)
                live = None
            elif step == "retry" and ledger.retry(source):
                pass
            elif step == "cancel":
                ledger.cancel(source)
                open_wishes.discard(source)
            running = [job for job in ledger.jobs() if job.state == "running"]
            assert len(running) <= 1
        if live:
            live.finish()
        if not ledger.repository(REPO):
            return
        ran = set()
        while due := ledger.due():
            lease = ledger.take(due[0].source, ME, 60)
            if lease:
                ran.add(lease.job.source)
                lease.finish()
        given_up = {job.source for job in ledger.jobs(states=["failed", "cancelled"])}
        assert open_wishes <= ran | given_up
    finally:
        ledger.close()
