"""Processes that search answer as one service: in order, with the same answers, and one that dies is replaced."""

from __future__ import annotations

import asyncio
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

from codequarry.errors import QuerySyntax, TimedOut, TooBusy, Upstream
from codequarry.service.backend import Backend
from codequarry.service.searchers import Searchers
from codequarry.service.security import ANYONE
from codequarry.settings import Settings

# What the processes are asked to do here; they find it in this module.


def process_id(backend):
    return os.getpid()


def wait_for(backend, file):
    """Returns its process when the file is there."""
    never = threading.Event()
    while not Path(file).exists():
        never.wait(0.01)
    return os.getpid()


def note(backend, file, word):
    with Path(file).open("a") as notes:
        notes.write(f"{word}\n")


def end(backend):
    os.kill(os.getpid(), signal.SIGKILL)


def fault(backend):
    return {}["nothing"]


def unreadable(backend):
    raise QuerySyntax("no such filter", query="a:b", position=2, hint="see docs")


def sources(backend):
    return sorted(str(state.source) for state in backend.states(ANYONE))


@pytest.fixture
def searching(tmp_path, prepared_index):
    """Runs an async function with that many processes over the index: `searching(main, processes=2)`."""

    def run(main, processes=1, threads=1, timeout_s=60):
        settings = Settings(tmp_path, request_timeout_s=timeout_s)

        async def inside():
            searchers = Searchers(settings, str(prepared_index), processes, threads)
            async with searchers.running():
                return await main(searchers)

        return asyncio.run(inside())

    return run


def test_each_process_works_on_one_call_and_all_have_the_index(searching, tmp_path, prepared_index):
    async def main(searchers):
        waiting = [asyncio.create_task(searchers.ask(wait_for, str(tmp_path / "go"))) for _ in range(2)]
        while any(process.busy != 1 for process in searchers._processes):
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        pids = await asyncio.gather(*waiting)
        return pids, [await searchers.ask(sources) for _ in range(4)]

    pids, found = searching(main, processes=2, threads=2)
    assert len(set(pids)) == 2 and os.getpid() not in pids
    backend = Backend(Settings(tmp_path), location=str(prepared_index))
    assert found == [sources(backend)] * 4
    backend.close()


def test_a_process_may_have_several_lanes_over_a_store_that_is_waited_for(searching, tmp_path):
    async def main(searchers):
        waiting = [asyncio.create_task(searchers.ask(wait_for, str(tmp_path / "go"))) for _ in range(4)]
        while any(process.busy != 2 for process in searchers._processes):
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        return await asyncio.gather(*waiting)

    pids = searching(main, processes=2, threads=4)
    assert sorted(pids.count(pid) for pid in set(pids)) == [2, 2]


def test_calls_are_worked_on_in_the_order_in_which_they_came(searching, tmp_path):
    async def main(searchers):
        first = asyncio.create_task(searchers.ask(wait_for, str(tmp_path / "go")))
        words = [f"{number}" for number in range(30)]
        rest = [asyncio.create_task(searchers.ask(note, str(tmp_path / "notes"), word)) for word in words]
        while searchers.busy < 31:
            await asyncio.sleep(0)
        (tmp_path / "go").touch()
        await asyncio.gather(first, *rest)
        return words

    words = searching(main)
    assert (tmp_path / "notes").read_text().split() == words


def test_more_calls_than_can_wait_are_refused_at_once(searching, tmp_path):
    async def main(searchers):
        waiting = [asyncio.create_task(searchers.ask(wait_for, str(tmp_path / "go"))) for _ in range(searchers._most)]
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await searchers.ask(process_id)
        (tmp_path / "go").touch()
        await asyncio.gather(*waiting)
        assert searchers.busy == 0

    searching(main)


def test_a_late_answer_is_given_to_nobody_else(searching, tmp_path):
    async def main(searchers):
        while not searchers._free:
            await asyncio.sleep(0.01)
        searchers.timeout_s = 0.05
        with pytest.raises(TimedOut):
            await searchers.ask(wait_for, str(tmp_path / "go"))
        with pytest.raises(TimedOut):
            await searchers.ask(note, str(tmp_path / "notes"), "nobody waits for this any more")
        searchers.timeout_s = 60
        after = asyncio.create_task(searchers.ask(sources))
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        return await after

    assert len(searching(main)) == 3
    assert not (tmp_path / "notes").exists()


def test_errors_come_back_as_they_are_and_faults_with_where_they_were(searching):
    async def main(searchers):
        with pytest.raises(QuerySyntax) as known:
            await searchers.ask(unreadable)
        assert (known.value.query, known.value.position, known.value.hint) == ("a:b", 2, "see docs")
        with pytest.raises(RuntimeError, match=r"(?s)in fault\n.*KeyError: .nothing"):
            await searchers.ask(fault)
        return await searchers.ask(process_id)

    assert searching(main)


def test_a_process_that_dies_costs_its_call_alone_and_is_replaced(searching):
    async def main(searchers):
        before = await searchers.ask(process_id)
        with pytest.raises(Upstream) as lost:
            await searchers.ask(end)
        assert lost.value.retryable
        return before, await searchers.ask(process_id)

    before, after = searching(main)
    assert before != after


def test_every_way_to_ask_gives_the_same_over_processes_as_over_threads(start, keyed_pair):
    alone, many, keys = keyed_pair
    tool = {"name": "search_code", "arguments": {"query": "retry"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool}
    mcp = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    asked = [
        ("POST", "/v1/search", {"query": "retry"}, {}),
        ("POST", "/v1/search", {"query": "lang:nothing"}, {}),
        ("POST", "/v1/search", {"query": "/(/"}, {}),
        ("POST", "/v1/prompt", {"question": "how are retries done", "budget": 500}, {}),
        ("GET", "/v1/file?repo=vault&path=vault.py", None, {}),
        ("GET", "/v1/file?repo=shop&path=none.py", None, {}),
        ("POST", "/v1/feedback", {"question": "retry", "repo": "shop", "path": "src/none.py", "answers": True}, {}),
        ("POST", "/mcp", call, mcp),
        ("GET", "/?q=retry", None, {}),
        ("GET", "/why?q=retry&rank=1", None, {}),
        ("GET", "/prompt?q=retry", None, {}),
        ("GET", "/file?repo=shop&path=none.py", None, {}),
    ]
    for key in keys:
        for method, target, body, more in asked:
            headers = {"X-Request-Id": "one", **more}
            one, other = (service.ask(method, target, body, key=key, headers=headers) for service in (alone, many))
            assert one.status == other.status, target
            assert _lasting(one.body) == _lasting(other.body), target


def _lasting(body):
    """What does not change from one request to the next."""
    return re.sub(
        rb'"(took_ms|times_ms)":\s*(\{[^}]*\}|[\d.]+)|[\d.]+ ms|\d+ (seconds?|minutes?) ago|just now',
        b"",
        body,
    )


@pytest.fixture
def keyed_pair(start):
    """A service that searches in threads, one that does so in two processes, and keys for both."""
    from codequarry.service.security import new_key

    made = [
        new_key("guest", ["search", "read"]),
        new_key("staff", ["search", "read"], ["staff"]),
        new_key("r", ["read"]),
    ]
    given = {"api_keys": tuple(entry for _, entry in made)}
    return start(**given), start(processes=2, **given), [key for key, _ in made]


class Service:
    """The real command with two processes that search."""

    def __init__(self, folder):
        make_index(folder / "index")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
        environment |= {"CODEQUARRY_DATA_DIR": str(folder), "CODEQUARRY_RATE_LIMIT": "0"}
        self._log = folder / "log"
        command = [
            sys.executable,
            "-m",
            "codequarry",
            "serve",
            "--port",
            "0",
            "--processes",
            "2",
            "--quiet",
            "--no-work",
        ]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=subprocess.DEVNULL)
        self.until(lambda: "REST" in self._log.read_text())
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self._log.read_text())[1])
        self.until(lambda: len(self.children()) == 2)

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


@pytest.fixture
def several(tmp_path):
    service = Service(tmp_path)
    yield service
    if service.process.poll() is None:
        service.process.terminate()
    service.process.wait(60)


def test_the_command_searches_in_processes_replaces_a_dead_one_and_ends_with_them(several):
    for _ in range(30):
        status, text = several.ask("POST", "/v1/search", {"query": "retry"})
        assert status == 200 and json.loads(text)["hits"]
    counted = r'^codequarry_requests_total\{route="/v1/search",method="POST",status="200"\} 30$'
    assert re.search(counted, several.ask("GET", "/v1/metrics")[1], re.MULTILINE)
    assert 'codequarry_search_leg_seconds_count{leg="rank"} 30' in several.ask("GET", "/v1/metrics")[1]
    for count in (1, 2):
        dead = set(several.children()[:count])
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        several.until(lambda dead=dead: len(several.children()) == 2 and dead.isdisjoint(several.children()))
    assert several.ask("POST", "/v1/search", {"query": "retry"})[0] == 200
    known = several.children()
    several.process.terminate()
    assert several.process.wait(60) == -signal.SIGTERM
    assert not any(Path(f"/proc/{pid}").exists() for pid in known)


def test_processes_that_search_end_with_a_service_that_is_killed(several):
    known = several.children()
    several.process.kill()
    several.process.wait(60)
    several.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in known))


@pytest.mark.parametrize("count", ["0", "-1", "1000"])
def test_a_number_of_processes_that_cannot_be_is_refused(command, count):
    assert command("serve", "--processes", count).returncode == 2
