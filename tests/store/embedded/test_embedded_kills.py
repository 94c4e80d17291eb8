"""The embedded store when the process that writes is killed: the old state, or the new one, and what was put."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import builders
import pytest
from builders import publish, state
from indexed import FILES, MAIN, run

from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Shown

KILLED = """
import os, shutil, sys
from itertools import count
from pathlib import Path
from builders import *
from codequarry.store.embedded import EmbeddedStore, writer
from codequarry.types import Pattern, Request, Scope
writer.GRACE_S = 0.0  # what the publication before made dead is removed in this one
base, works = Path(sys.argv[1]), Path(sys.argv[2])
MAIN = Source("github.com/acme/api", "main")
OLD = {"a.py": "def lock():\\n    return 1\\n", "b.py": "marker = lock()\\n"}
NEW = {"a.py": "def lock():\\n    return 1\\n", "b.py": "marker = 2\\n", "c.py": "marker = 3\\n"}
EVENTS = {"execute", "executemany", "executescript", "pwrite", "write", "fsync", "add_document", "commit", "ftruncate",
          "delete_documents_by_term", "replace", "rename", "wait_merging_threads"}

def blobs(files):
    return {path: blob_of(content) for path, content in files.items()}

def act(folder):
    store = EmbeddedStore(folder)
    publish(store, MAIN, NEW)

def die_at(number):
    left = number
    def hook(frame, event, function):
        nonlocal left
        if event == "c_call" and function.__name__ in EVENTS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
    sys.setprofile(hook)

def found(store, **scope):
    return sorted({one.path for one in store.retrieve(Request(Scope(**scope), ("marker",) if not scope else ())).candidates})

store = EmbeddedStore(base, create=True)
store.prepare(EMBEDDER, RECIPE)
publish(store, MAIN, {**OLD, "dead.py": "marker = 0\\n"})
publish(store, MAIN, OLD)
store.close()
states = set()
for number in count():
    work = works / str(number)  # a folder of its own: a merge that was given up may write into the last one a moment longer
    shutil.copytree(base, work)
    child = os.fork()
    if not child:
        die_at(number)
        act(work)
        os._exit(0)
    killed = os.waitpid(child, 0)[1] != 0
    store = EmbeddedStore(work)
    shown = {row.path: row.blob for row in store.dump()}
    assert shown in (blobs(OLD), blobs(NEW)), (number, shown)
    states.add("new" if shown == blobs(NEW) else "old")
    expected = ["b.py"] if shown == blobs(OLD) else ["b.py", "c.py"]
    assert found(store) == expected, (number, found(store))
    assert found(store, patterns=(Pattern("marker = [0-9l]"),)) == expected, number
    publish(store, MAIN, NEW)  # puts only what have() does not know
    assert {row.path: row.blob for row in store.dump()} == blobs(NEW), number
    assert found(store) == ["b.py", "c.py"], (number, found(store))
    assert found(store, patterns=(Pattern("marker = [0-9]"),)) == ["b.py", "c.py"], number
    store.compact()
    assert found(store) == ["b.py", "c.py"], number
    assert [check for check in store.check() if not check.ok] == [], (number, store.check())
    (words,) = [check.says for check in store.check() if check.part == "words"]
    assert words.startswith("3 chunks"), (number, words)
    store.close()
    shutil.rmtree(work, ignore_errors=True)
    if not killed:
        break
print(number, file=sys.stderr)
print(number > 20, *sorted(states))
"""


def test_a_kill_at_any_point_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """The writing process kills itself before each call in turn that writes anything anywhere."""
    assert run(KILLED, tmp_path / "base", tmp_path / "works") == "True new old\n"


PUT_AND_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import builders
from codequarry.store.embedded import EmbeddedStore, writer
from codequarry.types import Source

writer.PENDING_BYTES = {pending}
store = EmbeddedStore({folder!r})
with store.publish(Source("github.com/acme/api", "main")) as publication:
    for file in builders.versions({files!r}):
        publication.put([file])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("pending", "kept"), [(1, True), (1 << 30, False)], ids=["made durable", "not yet"])
def test_what_was_put_survives_a_kill_once_enough_of_it_has_gathered(
    store: EmbeddedStore, folder: Path, pending: int, kept: bool
) -> None:
    publish(store, MAIN, FILES)
    rows = list(store.dump())
    new = {f"new{number}.py": f"put{number} = 1\n" for number in range(3)}
    script = PUT_AND_KILLED.format(
        tests=str(Path(builders.__file__).parent), pending=pending, folder=str(folder), files=new
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    versions = builders.versions(new)
    with store.publish(MAIN, wait_s=20) as publication:
        had = publication.have(file.key for file in versions)
        assert had == ({file.key for file in versions} if kept else set())
        assert list(store.dump()) == rows
        publication.put([file for file in versions if file.key not in had])
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in versions])
    assert {row.path for row in store.dump()} == {*FILES, *new}
    assert all(check.ok for check in store.check())
