"""Files that end whoever prepares them: the others are indexed, they are listed with the reason, and tried again in time."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import Upstream
from codequarry.ingest import crashes, files
from codequarry.ingest.crashes import ATTEMPTS, MOST, Died, Mark, Salvage
from codequarry.ingest.files import Entry
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Skipped, Source

FAULTS = '''
import os, sys
from pathlib import Path

def _faulty():
    """Makes the cutting of some files end the process, as no file is known to do."""
    import ctypes
    from codequarry.ingest import chunks, crashes
    crashes.CPU_S = 1
    cut = chunks.cut
    def faulty(text, language, path):
        if "poison" in path:
            with open(os.environ["CODEQUARRY_TEST_LOG"], "a") as log:
                log.write(f"{path}\\n")
            if "hang" in text:
                while True: pass
            if "memory" in text:
                os.kill(os.getpid(), 9)
            if "crash" in text:
                ctypes.string_at(0)
        return cut(text, language, path)
    chunks.cut = faulty

if "codequarry.ingest.pool" in " ".join(sys.orig_argv) or os.environ.get("CODEQUARRY_TEST_FAULTY"):
    _faulty()
'''


@pytest.fixture
def log(tmp_path, monkeypatch):
    """From here on worker processes end at files called poison; gives the list of those at which they were."""
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.syspath_prepend(str(tmp_path / "faults"))
    monkeypatch.setenv("CODEQUARRY_TEST_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return tmp_path / "log"


@pytest.fixture
def world(tmp_path, repository):
    """A repository, and `world.run()`: indexes it as it is now; what is shown, and what is left out."""

    class World:
        forge = repository("forge")
        settings = Settings(
            tmp_path / "data", store=str(tmp_path / "index"), model="hash:64", local_repositories=True, workers=2
        )
        ledger = open_ledger(settings.store, settings)

        def __init__(self):
            self.repo = self.ledger.register(describe(str(self.forge.folder), self.settings)).repo
            self.source = Source(self.repo, "main")

        def run(self):
            self.ledger.want(self.source)
            store = open_store(self.settings.store, create=True)
            try:
                assert Runner(store, self.ledger, LocalQueue(), self.settings).run_one(self.source)
                assert self.ledger.job(self.source).state == "done", self.ledger.job(self.source).error
                return {row.path for row in store.dump()}, list(store.skipped(self.source))
            finally:
                store.close()

    made = World()
    yield made
    made.ledger.close()


def many(count=300, of=""):
    """So many files that other processes prepare them; `of`: other bytes than before."""
    return {f"d{number % 7}/f{number}.py": f"def f{number}(): return {number}{of}\n" for number in range(count)}


@pytest.mark.parametrize("fault", ["crash", "memory", "hang"])
def test_a_file_that_ends_its_process_is_left_out_and_the_others_are_indexed(world, log, fault):
    world.forge.commit({**many(), "d3/poison.py": f"def {fault}(): pass\n"})
    shown, skipped = world.run()
    assert shown == set(many())
    ((path, reason, detail),) = skipped
    assert (path, reason) == ("d3/poison.py", "crashed")
    assert str(ATTEMPTS) in detail
    assert log.read_text().splitlines() == ["d3/poison.py"] * ATTEMPTS


def test_several_such_files_in_one_batch_are_all_left_out(world, log):
    poison = {f"d{number}/poison{number}.py": "def crash(): pass\n" for number in range(7)}
    world.forge.commit(many() | poison)
    shown, skipped = world.run()
    assert shown == set(many())
    assert [(skip.path, skip.reason) for skip in skipped] == [(path, "crashed") for path in sorted(poison)]


def test_it_is_tried_again_when_its_bytes_or_the_recipe_change_and_not_before(world, log, monkeypatch):
    world.forge.commit({**many(), "poison.py": "def crash(): pass\n"})
    world.run()
    tried = len(log.read_text().splitlines())
    world.forge.commit({"other.py": "def other(): pass\n", **many(of=" + 1")})
    shown, skipped = world.run()
    assert "other.py" in shown and [skip.reason for skip in skipped] == ["crashed"]
    assert len(log.read_text().splitlines()) == tried
    monkeypatch.setattr(files, "RECIPE", "next")
    world.forge.commit({"third.py": "def third(): pass\n", **many(of=" + 2")})
    assert [skip.reason for skip in world.run()[1]] == ["crashed"]
    assert len(log.read_text().splitlines()) == tried + ATTEMPTS
    world.forge.commit({"poison.py": "def good(): pass\n"})
    shown, skipped = world.run()
    assert "poison.py" in shown and skipped == []


PROGRAM = """
import sys
from pathlib import Path
from codequarry.ingest.jobs import LocalQueue, Runner
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Source

location, folder, repo = sys.argv[1:]
settings = Settings(Path(folder), store=location, model="hash:64", local_repositories=True)
store, ledger = open_store(location, create=True), open_ledger(location, settings)
Runner(store, ledger, LocalQueue(), settings, on_hang=lambda: None).run_one(Source(repo, "main"))
"""


@pytest.mark.parametrize(("fault", "status"), [("memory", -9), ("hang", -24)])
def test_a_file_that_ends_the_process_of_a_small_run_ends_only_the_first_one(world, log, monkeypatch, fault, status):
    monkeypatch.setenv("CODEQUARRY_TEST_FAULTY", "1")
    monkeypatch.setenv("PYTHONPATH", str(log.parent / "faults"))
    world.forge.commit({"a.py": "def alpha(): pass\n", "poison.py": f"def {fault}(): pass\n"})
    world.ledger.want(world.source)
    arguments = [sys.executable, "-c", PROGRAM, world.settings.store, world.settings.data_dir, world.repo]
    assert [subprocess.run(arguments, check=False).returncode for _ in range(2)] == [status, 0]
    assert world.ledger.job(world.source).state == "done"
    store = open_store(world.settings.store)
    assert {row.path for row in store.dump()} == {"a.py"}
    assert [(skip.path, skip.reason) for skip in store.skipped(world.source)] == [("poison.py", "crashed")]
    store.close()


# ------------------------------------------------------------------------------------------------------- which one it was


def entries(count):
    return [Entry(f"f{number}", f"{number:040x}", 10) for number in range(count)]


class Process:
    """A process that ends at some files; `noting` says what it notes then: the file, or that it is behind the last one."""

    def __init__(self, deadly, noting=True):
        self.deadly, self.noting, self.asked = set(deadly), noting, 0

    def __call__(self, batch):
        self.asked += 1
        for number, entry in enumerate(batch):
            if entry.path in self.deadly:
                raise Died(number if self.noting else -2)
        return [Skipped(entry.path, "binary") for entry in batch]


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=MOST), st.booleans())
def test_exactly_the_files_that_end_processes_are_left_out(count, deadly, noting):
    process = Process({f"f{number}" for number in deadly}, noting)
    found = Salvage().prepare(entries(count), process)
    assert sorted(skip.path for skip in found) == sorted(entry.path for entry in entries(count))
    assert {skip.path for skip in found if skip.reason == "crashed"} == {
        f"f{number}" for number in deadly if number < count
    }


def test_one_death_is_enough_for_a_suspect():
    process = Process({"f77"})
    Salvage().prepare(entries(120), process, at=77)
    assert process.asked == ATTEMPTS - 1 + 1


def test_a_file_that_is_read_the_next_time_is_not_left_out():
    calls = []

    def once(batch):
        calls.append(len(batch))
        if len(calls) == 1:
            raise Died(0)
        return [Skipped(entry.path, "binary") for entry in batch]

    assert {skip.reason for skip in Salvage().prepare(entries(3), once)} == {"binary"}
    assert calls == [3, 1, 2]


def test_processes_that_end_before_they_begin_or_at_many_files_are_an_error():
    def broken(batch):
        raise Died(-1)

    with pytest.raises(Upstream, match="before it began") as raised:
        Salvage().prepare(entries(5), broken)
    assert raised.value.retryable
    with pytest.raises(Upstream, match=f"more than {MOST} files") as many_files:
        Salvage().prepare(entries(100), Process({entry.path for entry in entries(100)}))
    assert not many_files.value.retryable, "else it would be tried for ever"


def test_a_note_is_read_by_whoever_started_the_process():
    mark = Mark()
    assert mark.read() == -1
    program = f"from codequarry.ingest.crashes import Mark; Mark({mark.handle}).set(7); import os; os._exit(1)"
    subprocess.run([sys.executable, "-c", program], check=False, pass_fds=[mark.handle])
    assert mark.read() == 7
    mark.close()


def test_the_time_of_a_process_that_lives_on_is_limited_for_a_batch_alone():
    before = resource.getrlimit(resource.RLIMIT_CPU)
    with crashes.limited_time([]):
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] <= time.process_time() + crashes.CPU_S + 2
    assert resource.getrlimit(resource.RLIMIT_CPU) == before


def test_the_time_of_a_process_is_limited_anew_for_each_batch():
    program = (
        "from codequarry.ingest import crashes; crashes.CPU_S = 1\n"
        "import time\n"
        "for _ in range(3):\n"
        "    crashes.limit_time([]); end = time.process_time() + 0.8\n"
        "    while time.process_time() < end: pass\n"
        "print('three batches', flush=True)\n"
        "while True: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "three batches\n"
    assert done.returncode == -24, "SIGXCPU"
    assert crashes.CPU_S > 30
