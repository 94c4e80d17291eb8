"""What `codequarry.ports.Store` promises while other processes write, and when they are killed, for every store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import blob_of, publish, state
from stored import MAIN, found

from codequarry.ports import Store
from codequarry.types import Pattern, Shown

CHILD_HEAD = """
import sys, itertools
sys.path.insert(0, {tests!r})
{imports}
import builders
from builders import EMBEDDER, RECIPE, state, version
from codequarry.types import *
store = {expression}
CHUNKS = {chunks}
"""
CHUNKS = 5


def generation(number: int) -> dict[str, str]:
    """Files all chunks of which say which generation they are of; each has as many chunks."""
    block = "marker = {}\nfiller\nfiller\nfiller\n"
    return {f"f{at}.py": "".join(block.format(f"g{number}x{at}") for _ in range(CHUNKS)) for at in range(3)}


def child(factory: Any, body: str) -> subprocess.Popen[str]:
    """Another process that runs `body` with the store opened as `store`."""
    head = CHILD_HEAD.format(
        tests=str(Path(builders.__file__).parent),
        imports=factory.imports,
        expression=factory.expression,
        chunks=CHUNKS,
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + body], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


READER = """
import re, select
wrong, rounds, seen = [], 0, set()

def look():
    for request in (Request(terms=("marker",)), Request(scope=Scope(patterns=(Pattern("marker = g"),)))):
        result = store.retrieve(request).candidates
        files = {}
        for one, piece in zip(result, store.texts(result)):
            files.setdefault(one.path, []).append((one.blob, re.search("g[0-9]+x", piece).group()))
        for path, chunks in files.items():
            seen.add(chunks[0][1])
            if len(set(chunks)) != 1 or len(chunks) != CHUNKS:
                wrong.append((path, chunks))
        if sorted(files) != ["f0.py", "f1.py", "f2.py"]:
            wrong.append(sorted(files))

look()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    look()
    rounds += 1
look()
print(rounds, len(seen), wrong, flush=True)
"""


def test_a_reader_beside_a_writer_sees_old_or_new_and_never_a_mix(
    store: Store, store_factory: Callable[[], Store]
) -> None:
    publish(store, MAIN, generation(0))
    reader = child(store_factory, READER)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(1, 25):
        publish(store, MAIN, generation(number))
    out, _ = reader.communicate("stop\n", timeout=120)
    rounds, seen, wrong = out.strip().split(" ", 2)
    assert wrong == "[]"
    assert int(rounds) > 0
    assert int(seen) > 1


WRITER = """
print("ready", flush=True)
for number in itertools.count(int(sys.stdin.readline())):
    block = "marker = {}\\nfiller\\nfiller\\nfiller\\n"
    files = [version(f"f{at}.py", "".join(block.format(f"g{number}x{at}") for _ in range(CHUNKS))) for at in range(3)]
    with store.publish(Source("github.com/acme/api", "main"), wait_s=20) as publication:
        for file in files:
            publication.put([file])
            print("put", number, file.path, flush=True)
        publication.commit(state(Source("github.com/acme/api", "main")), show=[Shown(f.path, f.blob) for f in files])
        print("committed", number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 4, 7, 8, 11])
def test_killing_a_writer_leaves_the_old_or_the_new_state_and_the_next_one_goes_on(
    store: Store, store_factory: Callable[[], Store], lines: int
) -> None:
    publish(store, MAIN, generation(0))
    writer = child(store_factory, WRITER)
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("1\n")
    writer.stdin.flush()
    said = [writer.stdout.readline().split() for _ in range(lines)]
    os.kill(writer.pid, signal.SIGKILL)  # in the middle of whatever comes next
    rest, _ = writer.communicate(timeout=60)
    said += [line.split() for line in rest.splitlines()]
    committed = max([0, *(int(line[1]) for line in said if line[0] == "committed")])

    again = store_factory()
    rows = list(again.dump())
    shown = {row.path: row.blob for row in rows}
    states = [
        {path: blob_of(content) for path, content in generation(number).items()}
        for number in (committed, committed + 1)
    ]
    assert shown in states
    assert len(rows) == 3 * CHUNKS
    current = committed + states.index(shown)
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert len(found(again, patterns=(Pattern(rf"g{current}x\d"),))) == 3 * CHUNKS

    # Whatever a publication put and did not live to commit is there wholly or not at all: `have` says which.
    with again.publish(MAIN, wait_s=20.0) as publication:
        files = builders.versions(generation(committed + 1))
        had = publication.have(file.key for file in files)
        assert had <= {file.key for file in files}
        publication.put([file for file in files if file.key not in had])
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in files])
    assert {row.blob for row in again.dump()} == {file.blob for file in files}
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert len(found(again, patterns=(Pattern(rf"g{committed + 1}x\d"),))) == 3 * CHUNKS
    again.compact()
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert [one for one in again.check() if not one.ok] == []
