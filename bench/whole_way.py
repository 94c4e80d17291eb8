"""Rows of bench/soak.py that go the whole way, from `git push` to an answer, with real parts in processes of their own."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import p50, p95

sys.path.extend(str(Path(__file__).parent.parent / "tests" / folder) for folder in ("ingest", ""))

from hooked import Forge, Service, environment, git

from codequarry.compose import servers

Seen = tuple[dict[str, Any], dict[str, bool]]


@contextmanager
def service(folder: Path, options: argparse.Namespace) -> Iterator[Service]:
    """The embedded service, or with `--workers N` one with Elasticsearch and Redis, as `dev up` starts them, and N workers."""
    settings = {"model": options.model}
    try:
        if options.workers:
            urls = servers.up(["elasticsearch", "redis"], data_dir=folder / "servers", docker=False, tied=True).urls
            settings |= {"elasticsearch_url": urls["elasticsearch"], "redis_url": urls["redis"]}
        running = Service(folder, environment(folder, **settings), options.workers)
        try:
            yield running
        finally:
            running.close()
    finally:
        if options.workers:
            servers.down(data_dir=folder / "servers")


def pushes(folder: Path, options: argparse.Namespace) -> Seen:
    """Real pushes to bare repositories; seconds from the start of `git push` until `POST /v1/search` finds the new line."""
    chance = random.Random(options.seed)
    took, posted = [], []
    with service(folder, options) as running:
        forges = []
        for number, tree in enumerate(options.roots):
            forges.append(Forge(folder / f"{number}-{tree.name}.git", folder / f"clone{number}", tree))
            running.register(forges[-1])
        for number in range(options.count):
            forge = chance.choice(forges)
            names = [name for name in git(forge.clone, "ls-files", "-z").split("\0") if name.endswith(_EDITED)]
            file, token = forge.clone / chance.choice(names), f"pushed_{number}_{chance.getrandbits(40):x}"
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{token}\n")
            git(forge.clone, "commit", "-qam", token)
            began = time.monotonic()
            forge.push("main")
            posted.append(time.monotonic() - began)

            def found(token: str = token) -> bool:
                return bool(running.ask("POST", "/v1/search", {"query": f'"{token}"'})["hits"])

            running.until(found)
            took.append(time.monotonic() - began)
            if options.pause:
                time.sleep(chance.uniform(0, options.pause))
        files = [len(git(forge.clone, "ls-files").split("\n")) for forge in forges]
    seen = {
        "repositories": dict(zip([tree.name for tree in options.roots], files, strict=True)),
        "workers": options.workers,
        "pushes": len(took),
        "p50 s": round(p50(took), 2),
        "p95 s": round(p95(took), 2),
        "most s": round(max(took), 2),
        "of which git push and its hook, p50 s": round(p50(posted), 2),
    }
    return seen, {"p95 of at most 10 s": p95(took) <= 10.0}


_EDITED = (".go", ".py", ".js", ".ts", ".rb", ".c", ".h", ".java", ".md", ".rs")


def histories(folder: Path, options: argparse.Namespace) -> Seen:
    """The state machine of the tests over the whole way: after each push the dump equals that of a clean build."""
    from hypothesis import seed
    from test_random_history import Hooked, run

    compared = 0
    with service(folder, options) as running:
        for number in range(options.histories):
            print(f"seed {options.seed + number}", file=sys.stderr, flush=True)
            machine = seed(options.seed + number)(type("There", (Hooked,), {"service": running}))
            steps = options.pushes * 3 // 2  # some change nothing, such as deleting a branch that is not there
            run(machine, 1, steps, least=steps)
            compared += machine.followed
    seeds = list(range(options.seed, options.seed + options.histories))
    seen = {"seeds": seeds, "workers": options.workers, "commits compared": compared}
    return seen, {"as many commits as wanted": compared >= options.histories * options.pushes}
