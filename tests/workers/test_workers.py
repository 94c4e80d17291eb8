"""Real Celery worker processes on a real Redis and a real Elasticsearch, and what is left when they are killed."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest
from team import Forge, children, clean_dump, dump, pushes_and_kills

from codequarry.hints import RedisQueue
from codequarry.store import open_store
from codequarry.types import Source

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]


def test_a_push_is_indexed_by_a_worker_with_a_hint_and_without_one(team, tmp_path):
    forge = Forge(tmp_path / "forge")
    head = forge.push({"a.py": "def alpha(): pass\n"})
    repo = team.register(forge)
    supervisor = team.start()
    team.push(repo)
    team.until(lambda: team.indexed(repo) == head)
    head = forge.push({"a.py": "def beta(): pass\n"})
    team.push(repo, hint=False)
    team.until(lambda: team.indexed(repo) == head)
    team.until(team.quiet)
    supervisor.terminate()
    assert supervisor.wait(30) == 0
    store = open_store(team.settings.store, settings=team.settings)
    assert store.read_file(Source(repo, "main"), "a.py").text == "def beta(): pass\n"
    store.close()


def test_a_burst_of_pushes_is_few_runs_and_the_last_commit_is_indexed(team, tmp_path):
    forges = [Forge(tmp_path / f"forge{number}") for number in range(4)]
    for forge in forges:
        forge.push({"a.py": "def first(): pass\n"})
    repos = [team.register(forge) for forge in forges]
    team.start()
    heads = {}
    pushes = 40
    for number in range(pushes):
        for repo, forge in zip(repos, forges, strict=True):
            if number % 10 == 0:
                heads[repo] = forge.push({"a.py": f"def at{number}(): pass\n"})
            team.push(repo)
            running = [job for job in team.ledger.jobs(repo) if job.state == "running"]
            assert len(running) <= 1
    team.until(lambda: all(team.indexed(repo) == heads[repo] for repo in repos) and team.quiet())
    for repo in repos:
        epochs = max(job.epoch for job in team.ledger.jobs(repo))
        assert epochs < pushes, "wishes that came while one was open made no runs of their own"


def test_killed_workers_and_a_wiped_redis_lose_nothing(team, tmp_path, redis):
    ahead = pushes_and_kills(team, tmp_path, redis, seed=7, kills=8)
    assert ahead == []
    assert dump(team) == clean_dump(team, tmp_path)


def test_a_cancelled_job_stops_in_its_worker_and_stays_so_when_workers_are_restarted(team, tmp_path):
    forge = Forge(tmp_path / "forge")
    forge.push({f"d{file % 9}/f{file}.py": f"def f{file}(): return {file}\n" * 40 for file in range(3000)})
    repo = team.register(forge)
    source = Source(repo, "main")
    supervisor = team.start()
    team.push(repo)
    team.until(lambda: (job := team.ledger.job(source)) and job.progress and job.progress.phase == "reading")
    assert team.ledger.cancel(source).cancel
    team.until(lambda: team.ledger.job(source).state == "cancelled")
    assert team.indexed(repo) == ""
    supervisor.terminate()
    supervisor.wait(30)
    other = Forge(tmp_path / "other")
    head = other.push({"a.py": "def other(): pass\n"})
    team.start()
    later = team.register(other)
    team.push(later)
    team.until(lambda: team.indexed(later) == head)
    assert team.ledger.job(source).state == "cancelled"


def test_a_job_that_was_handed_over_is_done_by_the_pool_that_has_the_model(team, tmp_path):
    forge = Forge(tmp_path / "forge")
    head = forge.push({"a.py": "def alpha(): pass\n"})
    repo = team.register(forge)
    source = Source(repo, "main")
    team.ledger.want(source)
    team.ledger.take(source, "elsewhere", 60).hand_over("embed")
    team.start("--queue", "sync", "--queue", "embed")
    team.until(lambda: team.indexed(repo) == head)
    team.until(team.quiet)


def test_hints_fold_until_they_are_taken(redis, elasticsearch_prefix):
    queue = RedisQueue(redis.url, elasticsearch_prefix)
    main = Source("git.example/api", "main")
    for _ in range(100):
        queue.poke("sync", main)
    assert queue.take(1) == ("sync", main)
    assert queue.take(1) is None
    queue.poke("embed", main)
    assert queue.take(1) == ("embed", main)
    queue.close()


def test_a_redis_that_does_not_answer_is_asked_once_and_not_for_every_hint():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        dead = RedisQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for number in range(1000):
            dead.poke("sync", Source("git.example/api", str(number)))
        with pytest.raises(ConnectionError):
            dead.check()
        dead.close()
        silent.setblocking(False)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                asked += 1
    assert asked <= 4, "twice for the hints, twice for the check"


def test_no_pool_outlives_its_supervisor_however_early_that_is_killed(team):
    started = []
    for _ in range(3):
        supervisor = team.start("--queue", "sync", "--queue", "embed")
        team.until(lambda supervisor=supervisor: children(supervisor.pid))
        started += children(supervisor.pid)  # they have only begun to import what they need
        supervisor.kill()
        supervisor.wait()
    team.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
