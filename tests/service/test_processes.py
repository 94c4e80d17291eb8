"""A service of several processes answers as one: what they count is added up, and one that dies is replaced."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from running import make_index

from codequarry.service.metrics import Metrics


class Service:
    """The real command with two processes."""

    def __init__(self, folder):
        make_index(folder / "index")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
        environment |= {"CODEQUARRY_DATA_DIR": str(folder), "CODEQUARRY_RATE_LIMIT": "0"}
        self._log = folder / "log"
        command = [sys.executable, "-m", "codequarry", "serve", "--port", "0", "--processes", "2", "--quiet"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=subprocess.DEVNULL)
        self.until(lambda: "REST" in self._log.read_text())
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self._log.read_text())[1])

    def until(self, condition):
        end, never = time.monotonic() + 60, threading.Event()
        while not condition():
            assert time.monotonic() < end, self._log.read_text()
            never.wait(0.05)

    def children(self):
        return [
            int(pid)
            for task in Path(f"/proc/{self.process.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()
        ]

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def counted(self):
        """How many searches all processes together have answered."""
        pattern = r'^codequarry_requests_total\{route="/v1/search",method="POST",status="200"\} (\d+)$'
        return sum(map(int, re.findall(pattern, self.ask("GET", "/v1/metrics")[1], re.MULTILINE)))


@pytest.fixture
def several(tmp_path):
    service = Service(tmp_path)
    yield service
    if service.process.poll() is None:
        service.process.terminate()
    assert service.process.wait(60) == 0


def test_several_processes_answer_and_count_as_one_and_a_dead_one_is_replaced(several):
    several.until(lambda: len(several.children()) == 2)
    for _ in range(30):
        status, text = several.ask("POST", "/v1/search", {"query": "retry"})
        assert status == 200 and json.loads(text)["hits"]
    several.until(lambda: several.counted() == 30)
    assert several.counted() == 30, "whichever of them is asked"
    before = several.children()
    os.kill(before[0], signal.SIGKILL)
    several.until(lambda: len(several.children()) == 2 and before[0] not in several.children())
    assert several.ask("POST", "/v1/search", {"query": "retry"})[0] == 200
    known = several.children()
    several.process.terminate()
    assert several.process.wait(60) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in known)


@pytest.mark.parametrize("count", ["0", "-1", "1000"])
def test_a_number_of_processes_that_cannot_be_is_refused(command, count):
    assert command("serve", "--processes", count).returncode == 2


def test_what_processes_count_is_added_up(tmp_path):
    one, other, alone = Metrics(), Metrics(), Metrics()
    one.share(tmp_path, "0")
    other.share(tmp_path, "1")
    for metrics in (one, alone):
        metrics.requests.add("/v1/search", "POST", "200", by=3)
        metrics.seconds.observe(0.02, "/v1/search")
    for metrics in (other, alone):
        metrics.requests.add("/v1/search", "POST", "200")
        metrics.requests.add("/v1/file", "GET", "404")
        metrics.seconds.observe(3.0, "/v1/search")
        metrics.seconds.observe(0.001, "/v1/file")
    one.key_used.set(5.0, "ci")
    other.key_used.set(9.0, "ci")
    alone.key_used.set(9.0, "ci")
    for metrics in (one, other):
        metrics.publish()
    assert one.text() == other.text() == alone.text()
    one.requests.add("/v1/search", "POST", "200")
    assert one.text() == other.text() == alone.text(), "as it was when it was last written down"
    one.publish()
    assert one.text() == other.text()
    assert 'status="200"} 5' in one.text()
