"""A team's parts for tests: a forge that is pushed to, a Redis that can be killed, and the workers between them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from codequarry.compose import servers
from codequarry.hints import queue_of
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.settings import load
from codequarry.store import open_ledger, open_store
from codequarry.types import Source

LIMIT_S = 90.0


class Redis:
    """A Redis of one's own, to be killed."""

    def __init__(self, folder):
        self.folder, self.ports = folder, {"redis": servers.free_port()}
        self.start()

    def start(self):
        self.url = servers.up(["redis"], data_dir=self.folder, docker=False, ports=self.ports, tied=True).urls["redis"]

    def kill(self, *, wipe=False):
        (one,) = servers.status(data_dir=self.folder)
        os.kill(one.server.pid, signal.SIGKILL)
        servers.down(data_dir=self.folder)
        if wipe:
            for file in (self.folder / "servers" / "redis").rglob("*"):
                if file.is_file():
                    file.unlink()
        self.start()


class Forge:
    """A repository that is pushed to."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        command = ["git", "-C", self.folder, "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def push(self, files):
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", "a push")
        return self.git("rev-parse", "HEAD")


class Team:
    """Settings, ledger, queue and supervisors of a team."""

    def __init__(self, folder, elasticsearch, prefix, redis, model="hash:64"):
        self.env = {
            **os.environ,
            "CODEQUARRY_DATA_DIR": str(folder / "data"),
            "CODEQUARRY_ELASTICSEARCH_URL": elasticsearch,
            "CODEQUARRY_ELASTICSEARCH_INDEX_PREFIX": prefix,
            "CODEQUARRY_REDIS_URL": redis.url,
            "CODEQUARRY_MODEL": model,
            "CODEQUARRY_LOCAL_REPOSITORIES": "true",
        }
        self.folder = folder
        self.settings = load(folder, self.env)
        self.ledger = open_ledger(self.settings.store, self.settings)
        self.queue = queue_of(self.settings)
        self.supervisors = []
        self.log = (folder / "workers.log").open("wb")

    def start(self, *arguments):
        command = [sys.executable, "-m", "codequarry.workers", "--concurrency", "2", *arguments]
        self.supervisors.append(
            subprocess.Popen(command, env=self.env, cwd=self.folder, stdout=self.log, stderr=self.log)
        )
        return self.supervisors[-1]

    def register(self, forge):
        return self.ledger.register(describe(str(forge.folder), self.settings)).repo

    def push(self, repo, *, hint=True):
        self.ledger.want(Source(repo, ""), reason="push")
        if hint:
            self.queue.poke("sync", Source(repo, ""))

    def until(self, condition):
        """Returns as soon as the condition holds; looks again whenever half a tenth of a second has passed."""
        end, never = time.monotonic() + LIMIT_S, threading.Event()
        while not condition():
            assert time.monotonic() < end, self.said()
            never.wait(0.05)

    def said(self):
        jobs = "\n".join(map(str, self.ledger.jobs()))
        return f"{jobs}\n{(self.folder / 'workers.log').read_text()[-6000:]}"

    def indexed(self, repo):
        job = self.ledger.job(Source(repo, "main"))
        return job.indexed if job else ""

    def quiet(self):
        return all(job.state == "done" for job in self.ledger.jobs())

    def close(self):
        for supervisor in self.supervisors:
            if supervisor.poll() is None:
                supervisor.terminate()
        for supervisor in self.supervisors:
            try:
                supervisor.wait(30)
            finally:
                supervisor.kill()
        self.ledger.close()
        self.queue.close()
        self.log.close()


def children(pid):
    """The processes below one, by their ids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        found.setdefault(int(fields[1]), []).append(int(folder.name))
    below, queue = [], [pid]
    while queue:
        mine = found.get(queue.pop(), [])
        below += mine
        queue += mine
    return below


def pushes_and_kills(team, folder, redis, *, seed, kills):
    """Pushes to two repositories, after each a `kill -9` of a process of the workers, and Redis killed twice, once with its data.

    Returns when all is indexed; the commits that were said to be indexed before there was such a commit.
    """
    chance = random.Random(seed)
    forges = [Forge(folder / f"forge{number}") for number in range(2)]
    for number, forge in enumerate(forges):
        forge.push({f"d{file % 9}/f{file}.py": f"def f{number}_{file}(): return {file}\n" for file in range(400)})
    repos = [team.register(forge) for forge in forges]
    ahead, supervisor = [], team.start()
    for step in range(kills):
        for forge in forges:
            names = [f"d{chance.randrange(9)}/f{chance.randrange(400)}.py" for _ in range(40)]
            forge.push(dict.fromkeys(names, f"def new_{step}(): pass\n"))
        for repo in repos:
            team.push(repo, hint=chance.random() < 0.8)
        threading.Event().wait(chance.uniform(0.2, 2.5))  # a random moment of the work
        for forge, repo in zip(forges, repos, strict=True):
            state = team.indexed(repo)
            ahead += [state] if state and forge.git("cat-file", "-t", state) != "commit" else []
        if step in (kills // 4, kills * 2 // 3):
            redis.kill(wipe=step == kills * 2 // 3)
        victim = chance.choice([supervisor.pid, *children(supervisor.pid)])
        os.kill(victim, signal.SIGKILL)
        if victim == supervisor.pid:
            supervisor.wait()
            supervisor = team.start()
    heads = {repo: forge.git("rev-parse", "HEAD") for repo, forge in zip(repos, forges, strict=True)}
    team.until(lambda: all(team.indexed(repo) == heads[repo] for repo in repos) and team.quiet())
    return ahead


def dump(team):
    """What the team's index shows."""
    store = open_store(team.settings.store, settings=team.settings)
    try:
        return list(store.dump())
    finally:
        store.close()


def clean_dump(team, folder):
    """What an index shows that is made at once, of everything that is registered."""
    clean = str(folder / "clean")
    settings = load(folder, {**team.env, "CODEQUARRY_ELASTICSEARCH_URL": "", "CODEQUARRY_STORE": clean})
    ledger, store = open_ledger(clean), open_store(clean, create=True)
    for repository in team.ledger.repositories():
        ledger.want(Source(ledger.register(describe(repository.url, settings)).repo, ""))
    runner = Runner(store, ledger, LocalQueue(), settings)
    while due := ledger.due():
        runner.run_one(due[0].source)
    rows = list(store.dump())
    store.close()
    ledger.close()
    return rows


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"))
    yield redis
    servers.down(data_dir=redis.folder)


@pytest.fixture
def team(tmp_path, elasticsearch_url, elasticsearch_prefix, redis):
    team = Team(tmp_path, elasticsearch_url, elasticsearch_prefix, redis)
    yield team
    team.close()
