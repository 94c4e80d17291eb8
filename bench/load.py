#!/usr/bin/env python3
"""Many clients at once while repositories are being indexed: latency, errors and memory of a real service in its own process.

    bench/load.py ROOT [--clients 64] [--seconds 120] [--warm-up 20] [--processes N] [--store URL] [--profile] [--json OUT]

ROOT is committed to a repository of its own, which the service registers and indexes. A warm-up follows, clients and pushes
together, then three phases: one client (what a question takes when nothing else runs), all clients, all clients while a push of
five files is indexed every second. Clients ask the next question as soon as they have an answer. Of each phase are printed: how
long answers took, errors, the processor time that the service, the clients and indexing took, and the memory of all processes of
the service in the first and the last tenth of the phase (shared pages once). The service searches in `--processes`, one a
processor. `--profile` asks a service in this process with one client under cProfile and prints where its processor time goes,
framework and search apart. Wall times on a busy machine are noise: read the ratios, and the processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import memory_mb, p50, p95, processor_s, tree
from questions import draw


@dataclass
class Phase:
    """What the clients saw: milliseconds of each answer, and how many had which status."""

    name: str
    took_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)
    cpu_s: float = 0.0  # of those that answer
    indexing_cpu_s: float = 0.0
    clients_cpu_s: float = 0.0
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """The figures. `memory_growth`: of the last tenth of the samples over the first."""
        tenth = max(1, len(self.memory_mb) // 10)
        early, late = p50(self.memory_mb[:tenth]), p50(self.memory_mb[-tenth:])
        ordered = sorted(self.took_ms)
        return {
            "phase": self.name,
            "answers": len(ordered),
            "a second": round(len(ordered) / self.seconds, 1),
            "p50 ms": round(p50(ordered), 1),
            "p95 ms": round(p95(ordered), 1),
            "p99 ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
            "errors": sum(count for status, count in self.statuses.items() if status != 200),
            "statuses": dict(self.statuses),
            "cpu ms an answer": round(1000 * self.cpu_s / len(ordered), 2),
            "clients' cpu ms an answer": round(1000 * self.clients_cpu_s / len(ordered), 3),
            "indexing cpu s": round(self.indexing_cpu_s, 1),
            "memory MB at first": round(early, 1),
            "memory MB at last": round(late, 1),
            "memory_growth": round(late / early - 1, 4),
        }


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="codequarry-load-") as folder:
        forge = _forge(options.root, Path(folder) / "forge")
        questions = [q for kind in ("words", "symbols", "phrases", "paths") for q in draw(forge)[kind]]
        random.Random(1).shuffle(questions)
        if options.profile:
            profile(forge, Path(folder), questions)
            return
        with service(Path(folder), options) as (url, pid):
            register(url, forge)
            _phase("warm-up", url, pid, forge, questions, options.clients, True, options.warm_up)
            rows = []
            for name, clients, pushes, seconds in (
                ("one client", 1, False, min(options.seconds, 10)),
                (f"{options.clients} clients", options.clients, False, options.seconds),
                (f"{options.clients} clients while indexing", options.clients, True, options.seconds),
            ):
                rows.append(_phase(name, url, pid, forge, questions, clients, pushes, seconds))
                print(json.dumps(rows[-1]), flush=True)
            print(f"p95 of the last to the one before: {rows[2]['p95 ms'] / rows[1]['p95 ms']:.2f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _phase(
    name: str, url: str, pid: int, forge: Path, questions: list[str], clients: int, pushes: bool, seconds: float
) -> dict[str, Any]:
    phase, done = Phase(name), threading.Event()
    threads = [threading.Thread(target=_watch, args=(phase, pid, done))]
    if pushes:
        threads.append(threading.Thread(target=_push, args=(url, forge, done)))
    for thread in threads:
        thread.start()
    indexing = _indexing(pid)
    before, before_indexing, began = processor_s(tree(pid)), processor_s(indexing), time.monotonic()
    _ask_all(phase, url, questions, clients, seconds)
    phase.seconds, phase.indexing_cpu_s = time.monotonic() - began, processor_s(indexing) - before_indexing
    phase.cpu_s = processor_s(tree(pid)) - before - phase.indexing_cpu_s
    done.set()
    for thread in threads:
        thread.join()
    return phase.row() | ({"pushes": _pushes(url)} if pushes else {})


def _indexing(pid: int) -> list[int]:
    """The process of a service that does the jobs."""
    return [one for one in tree(pid) if b"service.work" in Path(f"/proc/{one}/cmdline").read_bytes()]


def _watch(phase: Phase, pid: int, done: threading.Event) -> None:
    while not done.wait(0.5):
        phase.memory_mb.append(sum(map(memory_mb, tree(pid))))


# ----------------------------------------------------------------------------------------------------------------- clients


def _ask_all(phase: Phase, url: str, questions: list[str], clients: int, seconds: float) -> None:
    """Asks over that many connections from this thread: each sends its next question when it has an answer.

    The requests are written beforehand, and of an answer only the length is read: clients share the processors with the service.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    requests = [_request(host, port, question) for question in questions]
    selector, room, end = selectors.DefaultSelector(), bytearray(1 << 20), time.monotonic() + seconds
    began_s = time.thread_time()
    with ExitStack() as stack:
        for number in range(clients):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            mine = itertools.cycle(requests[number % len(requests) :] + requests[: number % len(requests)])
            client = _Client(connection, mine)
            selector.register(connection, selectors.EVENT_READ, client)
            client.ask()
        waiting = clients
        while waiting:
            for key, _ in selector.select():
                client = key.data
                if client.has_answer(room):
                    phase.took_ms.append(1000 * (time.monotonic() - client.began))
                    phase.statuses[client.status] += 1
                    if time.monotonic() < end:
                        client.ask()
                    else:
                        waiting -= 1
                        selector.unregister(client.connection)
    selector.close()
    phase.clients_cpu_s = time.thread_time() - began_s


def _request(host: str, port: str, question: str) -> bytes:
    body = json.dumps({"query": question, "limit": 10}).encode()
    head = f"POST /v1/search HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Client:
    """One connection and the questions that it asks."""

    def __init__(self, connection: socket.socket, requests: Iterator[bytes]) -> None:
        self.connection, self._requests = connection, requests
        self.began, self.status, self._missing, self._head = 0.0, 0, -1, b""

    def ask(self) -> None:
        self.began, self._missing, self._head = time.monotonic(), -1, b""
        self.connection.sendall(next(self._requests))

    def has_answer(self, room: bytearray) -> bool:
        """Reads what has come, into `room`; whether that was the end of the answer."""
        count = self.connection.recv_into(room)
        if not count:
            raise SystemExit("the service closed a connection before it answered")
        if self._missing < 0:
            self._head += room[:count]
            end = self._head.find(b"\r\n\r\n") + 4
            if end < 4:
                return False
            self.status = int(self._head[9:12])
            at = self._head.lower().index(b"\r\ncontent-length:") + 17
            self._missing = int(self._head[at : self._head.index(b"\r\n", at)]) + end - len(self._head)
        else:
            self._missing -= count
        return self._missing == 0


# ---------------------------------------------------------------------------------------------------- service and its forge


def _forge(root: Path, folder: Path) -> Path:
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns(".git", "testdata"), symlinks=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder."""
    command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> None:
    """Commits everything there."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a push")


def environment(folder: Path) -> dict[str, str]:
    """Of a service that keeps everything in a folder and may index repositories of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
    return kept | {
        "CODEQUARRY_DATA_DIR": str(folder / "data"),
        "CODEQUARRY_LOCAL_REPOSITORIES": "true",
        "CODEQUARRY_RATE_LIMIT": "0",
    }


@contextmanager
def service(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """A service in a process of its own: its address and the process's id."""
    command = [sys.executable, "-m", "codequarry", "serve", "--port", "0", "--quiet"]
    command += ["--processes", str(options.processes)] if options.processes > 1 else []
    command += ["--store", options.store] if options.store else []
    with (folder / "log").open("w", encoding="utf-8") as log:
        running = subprocess.Popen(command, env=environment(folder), stdout=subprocess.DEVNULL, stderr=log)
    try:
        while "REST" not in (said := (folder / "log").read_text(encoding="utf-8")):
            if running.poll() is not None:
                raise SystemExit(said)
            time.sleep(0.1)
        url = said[said.index("http://") :].split()[0]
        yield url, running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _json(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def register(url: str, forge: Path) -> None:
    """Registers the repository and returns when it is indexed."""
    _json(url, "/v1/repositories", {"url": str(forge)})
    while not all(one["ready"] for one in _json(url, "/v1/repositories")["repositories"]):
        time.sleep(0.5)


def _push(url: str, forge: Path, done: threading.Event) -> None:
    """A push of five files a second, until told to stop."""
    (repo,) = [one["repo"] for one in _json(url, "/v1/repositories")["repositories"]]
    files = [path for path in sorted(forge.rglob("*")) if path.suffix in (".go", ".py") and path.is_file()]
    chance, number = random.Random(2), 0
    while not done.wait(1.0):
        number += 1
        for path in chance.sample(files, min(5, len(files))):
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\n// pushed {number}\n" if path.suffix == ".go" else f"\n# pushed {number}\n")
        commit(forge)
        _json(url, "/v1/jobs", {"repo": repo})


def _pushes(url: str) -> int:
    """How many runs have indexed the branch."""
    return max(job["epoch"] for job in _json(url, "/v1/jobs")["jobs"])


# ----------------------------------------------------------------------------------------------------------------- profile


def profile(forge: Path, folder: Path, questions: list[str], count: int = 400) -> None:
    """Where the processor time of a request goes: the event loop's thread, which is all that is not search, under cProfile."""
    import cProfile
    import pstats
    from dataclasses import replace

    from codequarry import connect
    from codequarry.service.app import create_app
    from codequarry.settings import load

    settings = replace(load(folder, environment(folder)), store=str(folder / "index"))
    with connect(folder / "index") as quarry:
        quarry.index(str(forge))
    app = create_app(settings)
    profiler = cProfile.Profile()

    async def ask() -> float:
        for question in questions[:50]:
            await _in_process(app, question)
        before = time.thread_time()
        for number in range(count):
            await _in_process(app, questions[number % len(questions)])
        spent = time.thread_time() - before
        profiler.enable()
        for number in range(count):
            await _in_process(app, questions[number % len(questions)])
        profiler.disable()
        return spent

    before = resource.getrusage(resource.RUSAGE_SELF)
    spent = asyncio.run(ask())
    after = resource.getrusage(resource.RUSAGE_SELF)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"beside search: {1000 * spent / count:.2f} ms a request in the event loop; {whole:.1f} CPU s in all")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    app.state.parts.pool.close()
    app.state.parts.backend.close()


async def _in_process(app: Any, question: str) -> None:
    body = json.dumps({"query": question, "limit": 10}).encode()
    headers = [
        (b"host", b"127.0.0.1:1"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/search",
        "raw_path": b"/v1/search",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--warm-up", type=float, default=20)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--store", default="")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
