"""The commands of background work, as people type them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from codequarry.ingest.jobs import LocalQueue, Runner
from codequarry.settings import load
from codequarry.store import open_ledger, open_store


@pytest.fixture
def forge(tmp_path):
    folder = tmp_path / "forge"
    folder.mkdir()

    def git(*arguments):
        subprocess.run(
            ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], check=True
        )

    git("init", "-q", "-b", "main")
    (folder / "a.py").write_text("def alpha(): pass\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    git("branch", "release-1")
    return folder


class Command:
    """`codequarry` with settings of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
        self.env |= {
            "CODEQUARRY_DATA_DIR": str(folder / "data"),
            "CODEQUARRY_MODEL": "hash:64",
            "CODEQUARRY_LOCAL_REPOSITORIES": "true",
        }

    def __call__(self, *words, code=0, **env):
        command = [sys.executable, "-m", "codequarry", *map(str, words)]
        done = subprocess.run(command, env=self.env | env, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def jobs(self, *words, code=0):
        found = json.loads(self("jobs", *words, "--json", code=code))["jobs"]
        return {job["branch"]: job["state"] for job in found}

    def work(self):
        """Does what is due, as `codequarry serve` does it."""
        settings = load(self.folder, self.env)
        ledger, store = open_ledger(settings.store, settings), open_store(settings.store, create=True)
        runner = Runner(store, ledger, LocalQueue(), settings)
        while due := ledger.due():
            runner.run_one(due[0].source)
        store.close()
        ledger.close()


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


def test_a_queued_repository_is_indexed_and_its_jobs_are_listed(command, forge):
    assert "nothing is kept indexed" in (said := command("jobs", code=1)) and "codequarry repositories add" in said
    assert "is queued" in command("index", forge, "--queue")
    assert command.jobs() == {"": "waiting"}
    command.work()
    assert command.jobs() == {"": "done", "main": "done"}
    said = command("jobs")
    assert f"local{forge} -" in said and "done" in said and "just now" in said
    assert "alpha" in command("search", "alpha")


def test_branches_that_are_queued_later_join_the_default_one(command, forge):
    command("index", forge, "--queue")
    command("index", forge, "--queue", "--branch", "release-1")
    command.work()
    assert command.jobs() == {"": "done", "main": "done", "release-1": "done"}


def test_jobs_are_cancelled_and_retried_by_the_end_of_a_name(command, forge):
    command("index", forge, "--queue")
    assert command.jobs("cancel", "forge") == {"": "cancelled"}
    command.work()
    assert command.jobs("list", "forge", "--state", "cancelled") == {"": "cancelled"}
    assert command.jobs("retry", "forge", "--branch", "-") == {"": "waiting"}
    command.work()
    assert command.jobs("list", "--state", "done") == {"": "done", "main": "done"}
    assert "no repository" in command("jobs", "retry", "nothing", code=1)
    assert "no job is failed" in command("jobs", "--state", "failed", code=1)
    assert "no job of forge for the branch 'nightly' is running or failed" in command(
        "jobs", "list", "forge", "--branch", "nightly", "--state", "running", "--state", "failed", code=1
    )
    assert "no job of forge for the branch 'nightly'" in command(
        "jobs", "cancel", "forge", "--branch", "nightly", code=1
    )
    assert "which repository" in command("jobs", "cancel", code=2)


def test_a_failed_job_shows_its_error_and_what_to_do(command, forge):
    command("index", forge, "--queue")
    forge.rename(forge.with_name("away"))
    command.work()
    said = command("jobs")
    assert "failed" in said and "does not appear to be a git repository" in said and "Check the address" in said


def test_a_server_queues_addresses_alone(command, forge):
    said = command("index", forge, "--queue", code=2, CODEQUARRY_LOCAL_REPOSITORIES="false")
    assert "addresses only" in said


def test_workers_say_what_they_need(command):
    assert "Elasticsearch" in command("worker", code=2)
    url = "http://127.0.0.1:9"
    assert "CODEQUARRY_REDIS_URL" in command("worker", code=2, CODEQUARRY_ELASTICSEARCH_URL=url)
