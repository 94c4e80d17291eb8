"""A service without Redis has a process of its own for the jobs: it gives way, is replaced, and ends with the service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from commandline import repository
from team import children

from codequarry.ingest.jobs import describe
from codequarry.settings import load
from codequarry.store import open_ledger
from codequarry.types import Source

_LIMIT_S = 60.0


def until(condition, said=lambda: ""):
    """The first true value of the condition, looked at again whenever half a tenth of a second has passed."""
    end, never = time.monotonic() + _LIMIT_S, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, said()
        never.wait(0.05)
    return found


def worker_of(pid):
    """The process of the jobs below a service, None while there is none."""
    for child in children(pid):
        command = Path(f"/proc/{child}/cmdline")
        if command.exists() and b"service.work" in command.read_bytes():
            return child
    return None


@pytest.fixture
def serving(tmp_path):
    """The real command over an empty folder, and the ledger that it works from."""

    class Serving:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")} | {
            "CODEQUARRY_DATA_DIR": str(tmp_path / "data"),
            "CODEQUARRY_LOCAL_REPOSITORIES": "true",
            "CODEQUARRY_MODEL": "hash:64",
            "CODEQUARRY_JOB_NICE": "7",
        }
        log = tmp_path / "log"
        settings = load(tmp_path, env)
        ledger = open_ledger(settings.store, settings)

        def __init__(self):
            command = [sys.executable, "-m", "codequarry", "serve", "--port", "0"]
            with self.log.open("w") as log:
                self.process = subprocess.Popen(command, env=self.env, stderr=log, stdout=subprocess.DEVNULL)
            until(lambda: re.search(r"http://127.0.0.1:(\d+)", self.said()), self.said)
            self.worker = until(lambda: worker_of(self.process.pid), self.said)

        def said(self):
            return self.log.read_text()

        def index(self, folder):
            repo = self.ledger.register(describe(str(folder), self.settings)).repo
            self.ledger.want(Source(repo, ""))
            until(lambda: (job := self.ledger.job(Source(repo, "main"))) and job.state == "done", self.said)

    made = Serving()
    yield made
    if made.process.poll() is None:
        made.process.terminate()
    made.process.wait(60)
    made.ledger.close()


def test_jobs_are_done_by_a_process_that_gives_way_to_requests(serving, tmp_path):
    serving.index(repository(tmp_path / "pay", {"a.py": "def alpha(): pass\n"}))
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: os.getpriority(os.PRIO_PROCESS, serving.worker) == min(19, ours + 7))
    assert os.getpriority(os.PRIO_PROCESS, serving.process.pid) == ours
    serving.process.terminate()
    assert serving.process.wait(60) in (0, -signal.SIGTERM)
    assert not Path(f"/proc/{serving.worker}").exists()


def test_a_process_of_the_jobs_that_died_is_replaced(serving, tmp_path):
    os.kill(serving.worker, signal.SIGKILL)
    serving.index(repository(tmp_path / "pay", {"a.py": "def alpha(): pass\n"}))
    assert worker_of(serving.process.pid) != serving.worker
    assert "is started again" in serving.said()


def test_the_process_of_the_jobs_does_not_outlive_a_service_that_was_killed(serving):
    serving.process.kill()
    until(lambda: not Path(f"/proc/{serving.worker}").exists())
