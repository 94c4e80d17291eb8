#!/usr/bin/env python3
"""Publication as shipped, against whatever can go wrong: three real nodes of Elasticsearch, writers, readers, and a nemesis.

    bench/nemesis.py [--minutes 10] [--seed 1] [--weaken refresh|aborted|compare-and-set|confirm]

Branches of real git repositories move at random (forwards, back, to another branch, gone and back again). Writers index them with
the shipped pipeline and store, through a proxy that refuses, repeats, loses and mixes what they send (`unreliable.py`). They are
killed, and stopped for longer than their lease lasts; nodes are killed and started again. Readers compare what they find with git
at the commit that the answer names: each file must be there with all of its lines, and none of another version. In the end all
branches are indexed once more, and the index must equal a clean one, with nothing left over.

`--weaken` breaks one promise in the writers or readers of this bench (never in the product), and the bench must see it: refresh
(the pointer moves before what was written can be found), aborted (readers do not know which epochs came to nothing),
compare-and-set (writers write whatever stands there), confirm (readers trust the sources that a chunk names). Then it ends
with status 0 as soon as a violation was seen, and 1 where none was. The last line is JSON; seeds are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nemesis_parts import BRANCHES, REPOSITORIES, Truth, git, make_repositories, pipeline_of, ref_of
from unreliable import Lost, Unreliable

from codequarry.compose import servers
from codequarry.errors import CodequarryError
from codequarry.ingest import RECIPE
from codequarry.models import open_embedder
from codequarry.store.elastic import ElasticStore
from codequarry.store.embedded import EmbeddedStore

WEAK = ("refresh", "aborted", "compare-and-set", "confirm")
PREFIX = "nemesis"
LEASE_S = 3.0  # of a publication, in place of the product's: a stopped writer is overtaken within the run
NODE_OPTIONS = "-Xms448m -Xmx448m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
GREEN_S = 300.0  # a start takes half a minute on a busy machine
MOST_VIOLATIONS_SHOWN = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--weaken", choices=WEAK)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nodes and writers end with this process
    print(f"seed {options.seed}, {options.minutes:g} min, weakened: {options.weaken or 'nothing'}", flush=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="codequarry-nemesis-", dir=memory if memory.is_dir() else None) as folder:
        seen, broken = Run(Path(folder), options).run()
    print(json.dumps({"seed": options.seed, "weakened": options.weaken, **seen, "broken": broken}))
    sys.exit(not seen["violations"] if options.weaken else bool(broken))


@dataclass
class Node:
    """One node of the cluster, in a process of its own."""

    name: str
    home: Path
    port: int
    transport: int
    process: subprocess.Popen[bytes] | None = None


class Cluster:
    """Three nodes that know each other."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [
            Node(f"n{number}", folder / f"n{number}", servers.free_port(), servers.free_port()) for number in range(3)
        ]
        for node in self.nodes:
            node.home.mkdir()
            self.start(node)

    def start(self, node: Node) -> None:
        """Starts it, also again after it was killed."""
        seeds = ",".join(f"127.0.0.1:{other.transport}" for other in self.nodes)
        settings = {
            "node.name": node.name,
            "http.port": node.port,
            "transport.port": node.transport,
            "cluster.name": "codequarry-nemesis",
            "discovery.type": "multi-node",
            "discovery.seed_hosts": seeds,
            "cluster.initial_master_nodes": ",".join(other.name for other in self.nodes),
        }
        with (node.home / "out.log").open("ab") as log:
            node.process = subprocess.Popen(
                [sys.executable, "-m", "codequarry.compose.node", servers.VERSION, str(node.home)]
                + [f"{key}={value}" for key, value in settings.items()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "ES_JAVA_OPTS": NODE_OPTIONS},
            )

    def kill(self, node: Node) -> None:
        """Ends it by SIGKILL, as if its machine were gone."""
        if node.process is not None:
            node.process.kill()
            node.process.wait()
            node.process = None

    def close(self) -> None:
        """Kills all."""
        for node in self.nodes:
            self.kill(node)


@dataclass
class Worker:
    """A writer or reader: its process, and the number that its seed is made of."""

    role: str
    number: int
    process: subprocess.Popen[str]


@dataclass
class Run:
    """One run of the bench."""

    folder: Path
    options: argparse.Namespace
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> tuple[dict[str, Any], list[str]]:
        """What was seen, and which promises were broken."""
        self.chance = random.Random(self.options.seed)
        repositories = make_repositories(self.folder, self.options.seed)
        self.truth = Truth.read(repositories)
        (self.folder / "truth").write_bytes(pickle.dumps(self.truth))
        cluster = Cluster(self.folder)
        ports = [node.port for node in cluster.nodes]
        self.bad = Unreliable(ports, self.options.seed, faulty=True)
        self.good = Unreliable(ports, self.options.seed + 1, faulty=False)
        started: list[Worker] = []
        try:
            store = self._prepare()
            roles = ["writer"] * self.options.writers + ["reader"] * self.options.readers
            started += [self._start(role, number) for number, role in enumerate(roles)]
            with self._threads(cluster, started):
                end = time.monotonic() + 60 * self.options.minutes
                while time.monotonic() < end and not (self.options.weaken and self.violations):
                    time.sleep(0.5)
            self._quiet(started)
            self.bad.calm()
            self._green()
            left = {} if self.options.weaken and self.violations else self._converge(store)
            store.close()
        finally:
            for worker in started:
                worker.process.kill()
                worker.process.wait()
            cluster.close()
            self.bad.close()
            self.good.close()
        broken = sorted({f"violation: {violation['kind']}" for violation in self.violations})
        broken += [f"in the end: {what} {number}" for what, number in left.items() if number and what != "chunks"]
        seen = {"counts": dict(sorted(self.counts.items())), "proxy": dict(self.bad.counts), "end": left}
        seen["violations"] = Counter(violation["kind"] for violation in self.violations)
        return seen, broken

    # --------------------------------------------------------------------------------------------------------- set-up

    def _prepare(self) -> ElasticStore:
        self._green()
        store = ElasticStore(f"http://127.0.0.1:{self.good.port}", prefix=PREFIX, create=True)
        store.prepare(open_embedder("hash:64"), RECIPE)
        if self.options.weaken != "refresh":
            # Found sooner than the product would: what is not committed must not show even then.
            settings = {"index": {"refresh_interval": "300ms"}}
            store._client.call("PUT", f"/{PREFIX}-chunks,{PREFIX}-files/_settings", settings)
        return store

    def _green(self) -> None:
        path = "/_cluster/health?wait_for_status=green&wait_for_nodes=3&timeout=20s"
        end = time.monotonic() + GREEN_S
        while time.monotonic() < end:
            try:
                status, content = self.good.exchange("GET", path, {}, b"")
            except Lost:  # no node answers yet
                time.sleep(1)
                continue
            if status == 200 and not json.loads(content)["timed_out"]:
                return
        raise SystemExit("the cluster does not become green")

    def _start(self, role: str, number: int) -> Worker:
        given = {
            "role": role,
            "seed": self.options.seed * 1000 + number,
            "url": f"http://127.0.0.1:{(self.bad if role == 'writer' else self.good).port}",
            "folder": str(self.folder),
            "weaken": self.options.weaken or "",
            "prefix": PREFIX,
            "lease_s": LEASE_S,
        }
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nemesis_parts.py")), json.dumps(given)],
            stdout=subprocess.PIPE,
            text=True,
        )
        worker = Worker(role, number, process)
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return worker

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # killed while it spoke
            with self.lock:
                if "kind" in said:
                    self.violations.append(said)
                    if len(self.violations) <= MOST_VIOLATIONS_SHOWN:
                        print(f"  {json.dumps(said)}", flush=True)
                else:
                    self.counts.update(said)
        if process.wait() != -signal.SIGKILL:
            with self.lock:
                self.violations.append({"kind": f"a process ended with {process.returncode}"})

    # -------------------------------------------------------------------------------------------------------- nemesis

    @contextmanager
    def _threads(self, cluster: Cluster, workers: list[Worker]) -> Iterator[None]:
        """What goes wrong, until the block is left; nobody is stopped or dead afterwards."""
        done = threading.Event()
        kinds: list[tuple[Callable[..., None], list[Any]]] = [
            (self._push, []),
            (self._harm_writers, [workers]),
            (self._harm_nodes, [cluster]),
        ]
        threads = [
            threading.Thread(target=target, args=(random.Random(self.chance.random()), done, *arguments))
            for target, arguments in kinds
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def _push(self, chance: random.Random, done: threading.Event) -> None:
        """Moves branches: to a commit near it, an older one, another branch's, away and back."""
        while not done.wait(chance.uniform(0.3, 1.2)):
            folder, branch = self.folder / chance.choice(REPOSITORIES), chance.choice(BRANCHES)
            commits = self.truth.order[folder.name]
            tips = {name: tip for name in BRANCHES if (tip := ref_of(folder, name))}
            now = tips.get(branch)
            what = chance.random()
            if now is None or what < 0.25:
                target = chance.choice(sorted(tips.values()))
            elif what < 0.35 and branch != "main":
                git(folder, "update-ref", "-d", f"refs/heads/{branch}")
                self._count("branches removed")
                continue
            else:
                near = commits.index(now) + chance.choice([1, 1, 1, 2, 5, -1, -7])
                target = commits[near % len(commits)]
            git(folder, "update-ref", f"refs/heads/{branch}", target)
            self._count("branches made" if now is None else "branches moved")

    def _harm_writers(self, chance: random.Random, done: threading.Event, workers: list[Worker]) -> None:
        while not done.wait(chance.uniform(1.0, 5.0)):
            worker = chance.choice([worker for worker in workers if worker.role == "writer"])
            if chance.random() < 0.5:
                worker.process.kill()
                worker.process.wait()
                workers[workers.index(worker)] = self._start("writer", max(one.number for one in workers) + 1)
                self._count("writers killed")
            else:
                worker.process.send_signal(signal.SIGSTOP)
                done.wait(chance.uniform(1.2, 2.8) * LEASE_S)
                worker.process.send_signal(signal.SIGCONT)
                self._count("writers stopped for longer than their lease")

    def _harm_nodes(self, chance: random.Random, done: threading.Event, cluster: Cluster) -> None:
        while not done.wait(chance.uniform(12, 30)):
            dead = chance.sample(cluster.nodes, 2 if chance.random() < 0.1 else 1)
            for node in dead:
                cluster.kill(node)
                self._count("nodes killed")
                done.wait(chance.uniform(0, 2))
            done.wait(chance.uniform(0, 6))
            for node in dead:
                cluster.start(node)
            if chance.random() < 0.8:
                self._green()

    def _count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    # ------------------------------------------------------------------------------------------------------------ end

    def _quiet(self, workers: Sequence[Worker]) -> None:
        """Ends readers and writers; what is half done stays so."""
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
        time.sleep(0.5)

    def _converge(self, store: ElasticStore) -> dict[str, int]:
        """Indexes every branch once more; how the index then differs from a clean one."""
        clean = EmbeddedStore(self.folder / "clean", create=True)
        pipelines = [pipeline_of(one, self.folder) for one in (store, clean)]
        clean.prepare(pipelines[1].embedder, RECIPE)
        there = {state.source for state in store.sources()}
        for name in REPOSITORIES:
            folder = self.folder / name
            for branch in BRANCHES:
                source = self.truth.source(folder, branch)
                if ref_of(folder, branch):
                    for pipeline in pipelines:
                        _patiently(partial(pipeline.index, str(folder), branches=[branch]))
                elif source in there:
                    _patiently(partial(store.forget, source))
        _patiently(store.compact)
        ours, theirs = set(store.dump()), set(clean.dump())
        store._client.refresh(*(getattr(store._names, alias) for alias in ("chunks", "files")))
        wanted = {(row.repo, row.path, row.blob, row.start_line) for row in theirs}
        chunks = {
            (hit["repo"], hit["path"], hit["blob"], hit["start"])
            for hit in (hit["_source"] for hit in store._client.sweep(store._names.chunks, {"match_all": {}}))
        }
        clean.close()
        return {
            "chunks": len(wanted),
            "rows missing": len(theirs - ours),
            "rows too many": len(ours - theirs),
            "chunks missing": len(wanted - chunks),
            "chunks left over": len(chunks - wanted),
        }


def _patiently(work: Any) -> None:
    for attempt in range(10):
        try:
            work()
            return
        except CodequarryError as error:
            if attempt == 9 or not (getattr(error, "retryable", False) or error.status == 409):
                raise
            time.sleep(2)


if __name__ == "__main__":
    main()
