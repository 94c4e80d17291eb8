#!/usr/bin/env python3
"""What the tests show in seconds, for as long as one likes: the same promises of a real service in its own process.

    bench/soak.py forged [--count 2000]
        altered, stale, malformed and oversized deliveries of every forge: all refused, nothing queued; true ones are taken, and
        ask for nothing when they come again
    bench/soak.py bursts [--pushes 200] [--repositories 5] [--seconds 5]
        pushes that come faster than runs: one run of a repository at a time, the last commit of each indexed
    bench/soak.py histories [--histories 3] [--pushes 20] [--elasticsearch URL]
        random commits through the jobs: after each the index equals a clean one
    bench/soak.py hooked [--histories 1] [--pushes 60] [--workers 2] [--seed 1]
        the same from `git push` over a hook, a signed webhook, Redis and workers to Elasticsearch; --workers 0: `serve` alone
    bench/soak.py pushes ROOT… [--count 50] [--workers 2]
        seconds from `git push` until the new line is found, over repositories made of these trees
    bench/soak.py kills [--kills 5] [--seed 1]
        workers and Redis are killed while pushes come: the index in Elasticsearch equals a clean one

Each row prints what it saw as JSON, and ends with status 1 where a promise was broken. The defaults take a minute or two.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import whole_way
from load import commit, environment, git
from measure import elasticsearch_server, memory_mb, p50, processor_s, tree

sys.path.extend(str(Path(__file__).parent.parent / "tests" / folder) for folder in ("service", "ingest", ""))

import forge  # deliveries as each forge signs them, and what can be wrong with one

from codequarry.compose import servers
from codequarry.ingest.jobs import describe
from codequarry.service.webhooks import MOST_BYTES
from codequarry.settings import Settings, load
from codequarry.store import open_ledger
from codequarry.types import Hook

_CONNECTIONS = 8
_LIMIT_S = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = parser.add_subparsers(dest="row", required=True)
    one = rows.add_parser("forged")
    one.add_argument("--count", type=int, default=2000)
    one.add_argument("--seed", type=int, default=1)
    one = rows.add_parser("bursts")
    one.add_argument("--pushes", type=int, default=200)
    one.add_argument("--repositories", type=int, default=5)
    one.add_argument("--seconds", type=float, default=5.0)
    one = rows.add_parser("histories")
    one.add_argument("--histories", type=int, default=3)
    one.add_argument("--pushes", type=int, default=20)
    one.add_argument("--elasticsearch", default="")
    one = rows.add_parser("hooked")
    one.add_argument("--histories", type=int, default=1)
    one.add_argument("--pushes", type=int, default=60)
    _whole_way(one, "hash:64")
    one = rows.add_parser("pushes")
    one.add_argument("roots", nargs="+", type=Path)
    one.add_argument("--count", type=int, default=50)
    one.add_argument("--pause", type=float, default=0.0, help="seconds at most between pushes")
    _whole_way(one, "code")
    one = rows.add_parser("kills")
    one.add_argument("--kills", type=int, default=5)
    one.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codequarry-soak-") as folder:
        seen, promises = _ROWS[options.row](Path(folder), options)
    broken = [name for name, holds in promises.items() if not holds]
    print(json.dumps({"row": options.row, **seen, "broken": broken}))
    sys.exit(bool(broken))


def _whole_way(parser: argparse.ArgumentParser, model: str) -> None:
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=model)


Seen = tuple[dict[str, Any], dict[str, bool]]  # what was seen, and whether each promise holds


# ------------------------------------------------------------------------------------------------------------------ forged


def forged(folder: Path, options: argparse.Namespace) -> Seen:
    """Of every scheme as many that are to be refused; then a fifth as many true ones, and those once more."""
    chance = random.Random(options.seed)
    settings = _settings(folder)
    ledger = open_ledger(settings.store, settings)
    for name, url in forge.REPOSITORIES.items():
        repo = ledger.register(describe(url, settings)).repo
        ledger.update(repo, state="paused")  # nothing is to be fetched
        for scheme in (scheme for scheme in forge.SCHEMES if forge.provider_name(scheme) == name):
            ledger.save_hook(Hook(_hook_of(scheme), name, repo, (forge.secret_of(scheme),)))
    forgeries = []
    for number in range(options.count):
        scheme = forge.SCHEMES[number % len(forge.SCHEMES)]
        name = chance.choice([name for name in forge.NAMES if name.startswith(f"{forge.provider_name(scheme)}/")])
        true = forge.delivery(name, forge.secret_of(scheme), lambda body, number=number: body.update(n=number))
        forgeries.append((_hook_of(scheme), _wrong(true, scheme, chance)))
    answers: Counter[int] = Counter()
    with _service(folder, settings) as (port, pid):
        _each(forgeries[:100], lambda one: _post(port, *one))  # the process is as large as it gets
        before, memory = processor_s(tree(pid)), sum(map(memory_mb, tree(pid)))
        answers.update(_each(forgeries, lambda one: _post(port, *one)))
        cpu = processor_s(tree(pid)) - before
        grown = sum(map(memory_mb, tree(pid))) / memory - 1
        forgers = [f"lengths that lie: {_lying(port, _hook_of(scheme), scheme)}" for scheme in forge.SCHEMES]
        wanted_by_forged = [job for job in ledger.jobs() if job.wanted_at]
        taken: Counter[int] = Counter()
        true = [
            (_hook_of(s), forge.delivery(f"{forge.provider_name(s)}/push", forge.secret_of(s), _numbered(number)))
            for number in range(max(1, options.count // 5 // len(forge.SCHEMES)))
            for s in forge.SCHEMES
        ]
        taken.update(_each(true, lambda one: _post(port, *one)))
        wished = {job.source: (job.wanted_at, job.epoch) for job in ledger.jobs()}
        again = Counter(_each(true, lambda one: _post(port, *one)))
        wished_again = {job.source: (job.wanted_at, job.epoch) for job in ledger.jobs()}
    ledger.close()
    seen = {
        "forged": sum(answers.values()),
        "answers": dict(answers),
        "true": sum(taken.values()),
        "taken": dict(taken),
        "taken again": dict(again),
        "cpu ms a delivery": round(1000 * cpu / options.count, 2),
        "memory_growth": round(grown, 3),
    }
    return seen, {
        "every forged delivery is refused": set(answers) <= {400, 401, 413},
        "nothing is wanted by one": not wanted_by_forged,
        "a length that lies is refused": set(forgers) == {"lengths that lie: 413"},
        "every true delivery is taken": set(taken) <= {200, 202},
        "one that comes again is taken and asks for nothing": set(again) == {200} and wished == wished_again,
        "memory stays within a tenth": grown < 0.1,
    }


def _hook_of(scheme: str) -> str:
    return f"hook-of-{scheme.replace(' ', '-')}"


def _numbered(number: int) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update(n=number)


_TOO_LARGE = b" " * (MOST_BYTES + 1)
_NO_DELIVERIES = (b"", b"[]", b"{", b"null", b'"push"', b"\xff\xfe", b'{"ref": ' * 2000)


def _wrong(true: forge.Delivery, scheme: str, chance: random.Random) -> forge.Delivery:
    """A delivery that is not to be taken: mostly altered; signed and no delivery, or too large; signed long ago."""
    among = chance.random()
    if among < 0.05:
        malformed = forge.Delivery(true.provider, true.headers, chance.choice(_NO_DELIVERIES))
        return forge.sign(malformed, forge.secret_of(scheme))
    if among < 0.051:
        return forge.sign(forge.Delivery(true.provider, true.headers, _TOO_LARGE), forge.secret_of(scheme))
    if "webhook-id" in true.headers and chance.random() < 0.2:
        return forge.sign(true, forge.SIGNING, now=time.time() - chance.choice([301, 3600, 10**8, -(10**6)]))
    return forge.altered(true, chance)


# ------------------------------------------------------------------------------------------------------------------ bursts


def bursts(folder: Path, options: argparse.Namespace) -> Seen:
    """Pushes to several repositories, a signed webhook for each, faster than they can be indexed."""
    settings = _settings(folder)
    ledger = open_ledger(settings.store, settings)
    repos: dict[str, Path] = {}
    for number in range(options.repositories):
        there = folder / f"forge{number}"
        there.mkdir()
        git(there, "init", "-q", "-b", "main")
        for file in range(200):
            (there / f"f{file}.py").write_text(f"def f{number}_{file}(): return {file}\n", encoding="utf-8")
        commit(there)
        repo = ledger.register(describe(str(there), settings)).repo
        ledger.save_hook(Hook(f"hook-of-{number}", "github", repo, (forge.SECRET,)))
        repos[repo] = there
    running_at_once: list[int] = []
    waiting_at_once: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            jobs = ledger.jobs()
            counts = Counter(job.source.repo for job in jobs if job.state == "running")
            running_at_once.append(max(counts.values(), default=0))
            waits = Counter(
                job.source for job in jobs if job.state == "waiting" or (job.state == "running" and job.again)
            )
            waiting_at_once.append(max(waits.values(), default=0))

    watcher = threading.Thread(target=watch)
    answers: Counter[int] = Counter()
    took: list[float] = []
    with _service(folder, settings) as (port, _):
        watcher.start()
        posting = time.monotonic()
        for number in range(options.pushes):
            at, there = number % options.repositories, list(repos.values())[number % options.repositories]
            if number >= options.pushes - options.repositories or number % (5 * options.repositories) == at:
                (there / "f0.py").write_text(f"def pushed_{number}(): pass\n", encoding="utf-8")
                commit(there)
            sent = forge.delivery("github/push", change=_pushed(number, there))
            began = time.monotonic()
            answers[_post(port, f"hook-of-{at}", sent)] += 1
            took.append(1000 * (time.monotonic() - began))
            done.wait(max(0.0, options.seconds / options.pushes - (time.monotonic() - began)))
        posting = time.monotonic() - posting
        heads = {repo: git(there, "rev-parse", "HEAD") for repo, there in repos.items()}
        end = time.monotonic() + _LIMIT_S
        while time.monotonic() < end and not (indexed := _indexed(ledger, heads)):
            done.wait(0.2)
        done.set()
        watcher.join()
    runs = {repo: max(job.epoch for job in ledger.jobs(repo)) for repo in repos}
    ledger.close()
    seen = {
        "pushes": options.pushes,
        "answers": dict(answers),
        "answer p50 ms": round(p50(took), 1),
        "runs": sum(runs.values()),
        "looks at the ledger": len(running_at_once),
        "posted in s": round(posting, 1),
        "running at once": max(running_at_once),
        "waiting at once": max(waiting_at_once),
    }
    return seen, {
        "every delivery is taken": set(answers) <= {200, 202},
        "one run of a repository at a time": max(running_at_once) <= 1,
        "at most one more waits": max(waiting_at_once) <= 1,
        "pushes fold": sum(runs.values()) < options.pushes,
        "the last commit of each is indexed": indexed,
    }


def _pushed(number: int, there: Path) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["repository"] = {"clone_url": there.as_uri()}
        body["after"] = f"{number + 1:040x}"  # a webhook only says that something was pushed

    return change


def _indexed(ledger: Any, heads: dict[str, str]) -> bool:
    jobs = {(job.source.repo, job.source.branch): job for job in ledger.jobs()}
    return all(
        (job := jobs.get((repo, "main"))) is not None and job.indexed == head and job.state == "done"
        for repo, head in heads.items()
    )


# --------------------------------------------------------------------------------------------------------------- histories


def histories(folder: Path, options: argparse.Namespace) -> Seen:
    """The state machine of the tests, for longer."""
    from test_random_history import History, run

    machine = History
    if options.elasticsearch:
        machine = type("There", (History,), {"location": f"{options.elasticsearch}?prefix=soak-{time.time_ns():x}"})
    run(machine, options.histories, options.pushes)  # raises with the steps that lead to a difference
    return {"histories": options.histories, "pushes": options.pushes}, {}


# ------------------------------------------------------------------------------------------------------------------- kills


def kills(folder: Path, options: argparse.Namespace) -> Seen:
    """Real workers over a real Elasticsearch and a Redis that is killed twice, once with its data."""
    import team

    team.LIMIT_S = _LIMIT_S
    with elasticsearch_server() as url:
        redis = team.Redis(folder / "redis")
        (folder / "team").mkdir()
        members = team.Team(folder / "team", url, "soak", redis)
        try:
            ahead = team.pushes_and_kills(members, folder, redis, seed=options.seed, kills=options.kills)
            runs = sum(job.epoch for job in members.ledger.jobs() if job.source.branch)
            shown, clean = team.dump(members), team.clean_dump(members, folder)
        finally:
            members.close()
            servers.down(data_dir=redis.folder)
    seen = {"kills": options.kills, "seed": options.seed, "runs": runs, "chunks": len(shown)}
    return seen, {"the index equals a clean one": shown == clean, "no commit was shown before it was there": not ahead}


_ROWS: dict[str, Callable[[Path, argparse.Namespace], Seen]] = {
    "forged": forged,
    "bursts": bursts,
    "histories": histories,
    "hooked": whole_way.histories,
    "pushes": whole_way.pushes,
    "kills": kills,
}


# ------------------------------------------------------------------------------------------------------------------- parts


def _settings(folder: Path) -> Settings:
    return load(folder, environment(folder) | {"CODEQUARRY_MODEL": "hash:64"})


@contextmanager
def _service(folder: Path, settings: Settings) -> Iterator[tuple[int, int]]:
    """A service in its own process: its port and id."""
    log = folder / "log"
    command = [sys.executable, "-m", "codequarry", "--store", settings.store, "serve", "--port", "0", "--quiet"]
    with log.open("w", encoding="utf-8") as stream:
        running = subprocess.Popen(
            command, env=environment(folder) | {"CODEQUARRY_MODEL": "hash:64"}, stdout=subprocess.DEVNULL, stderr=stream
        )
    try:
        while "REST" not in (said := log.read_text(encoding="utf-8")):
            if running.poll() is not None:
                raise SystemExit(said)
            time.sleep(0.1)
        yield int(said.partition("http://127.0.0.1:")[2].split()[0]), running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _lying(port: int, hook: str, scheme: str) -> int:
    """The status of the answer to a delivery that says it is short and goes on: in pieces, without a length."""
    sent = forge.delivery(f"{forge.provider_name(scheme)}/push", forge.secret_of(scheme))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        pieces = (b" " * (1 << 20) for _ in range(MOST_BYTES // (1 << 20) + 2))
        connection.request("POST", f"/v1/webhooks/{sent.provider}/{hook}", pieces, sent.headers, encode_chunked=True)
        return int(connection.getresponse().status)
    except (BrokenPipeError, ConnectionResetError):  # it was refused before all of it was sent
        return int(connection.getresponse().status)
    finally:
        connection.close()


_local = threading.local()


def _each(items: Sequence[Any], act: Callable[[Any], int]) -> list[int]:
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return list(pool.map(act, items))


def _post(port: int, hook: str, sent: forge.Delivery) -> int:
    """The status of the answer to a delivery, over this thread's connection."""
    known = getattr(_local, "connection", None)
    if known is None or known.port != port:
        known = _local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {name: value.encode("latin-1", "replace") for name, value in sent.headers.items()}
    known.request("POST", f"/v1/webhooks/{sent.provider}/{hook}", sent.body, headers)
    answer = known.getresponse()
    answer.read()
    return int(answer.status)


if __name__ == "__main__":
    main()
