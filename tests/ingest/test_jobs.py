"""Jobs on real repositories: what the index shows afterwards is what git shows, whatever happened in between."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from codequarry.errors import BadInput
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.models.hashing import HashEmbedder
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store, owner
from codequarry.types import Source


class CountingModel(HashEmbedder):
    """A model whose vectors are worth keeping, as a transformer's are; it counts the texts that it is given."""

    cached = True

    def __init__(self):
        super().__init__(64)
        self.name, self.fingerprint = "transformers:counting", "c0ffee"
        self.texts = 0

    def embed(self, texts):
        self.texts += len(texts)
        return super().embed(texts)


class Interrupted:
    """A store that calls `before` each time before a publication begins, and `between` before each time files are put."""

    def __init__(self, store, before=lambda: None, between=lambda: None):
        self._store, self._before, self._between = store, before, between

    def __getattr__(self, name):
        return getattr(self._store, name)

    def publish(self, source, **options):
        self._before()
        publication = self._store.publish(source, **options)
        put, between = publication.put, self._between

        def slow(files):
            between()
            put(files)

        publication.put = slow
        return publication


class World:
    """A forge with one repository, an index, its ledger, and who works on it."""

    def __init__(self, location, folder, forge, **settings):
        self.location, self.forge = location, forge
        self.settings = Settings(folder, store=location, model="hash:64", local_repositories=True, **settings)
        self.ledger = open_ledger(location, self.settings)
        self.queue = LocalQueue()
        self.opened = []
        self.repo = self.ledger.register(describe(str(forge.folder), self.settings)).repo

    def store(self):
        store = open_store(self.location, create=True)
        self.opened.append(store)
        return store

    def runner(self, store=None, **options):
        settings = options.pop("settings", self.settings)
        return Runner(store or self.store(), self.ledger, self.queue, settings, **options)

    def source(self, branch="main"):
        return Source(self.repo, branch)

    def sync(self, runner=None, commit=""):
        """Does what a push leads to, to the end."""
        self.ledger.want(self.source(""), commit=commit, reason="push")
        self.drain(runner or self.runner())

    def drain(self, runner):
        while due := self.ledger.due():
            for job in due:
                runner.run_one(job.source)

    def shown(self):
        """By branch, the files that the index shows."""
        store = self.store()
        return {
            state.source.branch: {path: store.read_file(state.source, path).text for path in store.paths(state.source)}
            for state in store.sources()
            if state.indexed_at
        }

    def states(self):
        return {state.source.branch: state for state in self.store().sources()}

    def close(self):
        self.ledger.close()
        for store in self.opened:
            store.close()


@pytest.fixture(params=["embedded", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def location(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "index")
    prefix = request.getfixturevalue("elasticsearch_prefix")
    return f"{request.getfixturevalue('elasticsearch_url')}?prefix={prefix}"


@pytest.fixture
def forge(repository):
    forge = repository("forge")
    forge.commit({"a.py": "def alpha(): pass\n", "lib/b.py": "def beta(): pass\n"})
    return forge


@pytest.fixture
def make_world(location, tmp_path, forge):
    worlds = []

    def make(**settings):
        worlds.append(World(location, tmp_path / "data", forge, **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world):
    return make_world()


# ------------------------------------------------------------------------------------------------------------- registration


def test_a_server_registers_addresses_alone_and_no_secrets(tmp_path):
    settings = Settings(tmp_path)
    assert describe("https://github.com/org/api.git", settings, branches=["main"]).repo == "github.com/org/api"
    for refused in (str(tmp_path), f"file://{tmp_path}", "http://github.com/org/api", "https://u:p@github.com/org/api"):
        with pytest.raises(BadInput):
            describe(refused, settings)
    with pytest.raises(BadInput):
        describe("https://u:p@github.com/org/api", replace(settings, local_repositories=True))


# ------------------------------------------------------------------------------------------------------- pushes and branches


def test_a_registered_repository_is_indexed_and_a_push_changes_what_it_changes(world):
    world.sync()
    assert world.shown() == {"main": {"a.py": "def alpha(): pass\n", "lib/b.py": "def beta(): pass\n"}}
    head = world.forge.git("rev-parse", "HEAD")
    job = world.ledger.job(world.source())
    assert (job.state, job.indexed, job.attempts, job.error) == ("done", head, 0, "")
    assert world.ledger.repository(world.repo).head == "main"

    world.forge.git("mv", "a.py", "c.py")
    head = world.forge.commit({"lib/b.py": "def beta2(): pass\n"})
    world.sync()
    assert world.shown() == {"main": {"c.py": "def alpha(): pass\n", "lib/b.py": "def beta2(): pass\n"}}
    assert world.states()["main"].commit == head


def test_a_look_at_a_repository_that_is_as_indexed_begins_nothing(world):
    world.sync()
    epoch = world.ledger.job(world.source()).epoch
    world.sync()
    assert world.ledger.job(world.source()).epoch == epoch


def test_branches_are_those_that_match_and_each_has_its_job(world):
    world.ledger.update(world.repo, branches=("main", "release-*"))
    for branch in ("release-1", "release-2", "feature", "me/release-3"):
        world.forge.git("branch", branch)
    world.sync()
    assert set(world.shown()) == {"main", "release-1", "release-2"}
    assert {branch: state.default for branch, state in world.states().items()} == {
        "main": True,
        "release-1": False,
        "release-2": False,
    }
    assert [job.source.branch for job in world.ledger.jobs(world.repo)] == ["", "main", "release-1", "release-2"]


def test_a_branch_costs_no_embedding_for_what_another_has_and_leaves_alone_what_others_show(world):
    world.ledger.update(world.repo, branches=("*",))
    model = CountingModel()
    runner = world.runner(embedder=model)
    world.sync(runner)
    texts = model.texts
    world.forge.git("branch", "copy")
    world.sync(runner)
    assert model.texts == texts > 0
    world.forge.git("checkout", "-q", "copy")
    world.forge.commit({"only.py": "def only(): pass\n"})
    world.sync(runner)
    assert model.texts == texts + 1
    assert set(world.shown()["copy"]) == {"a.py", "lib/b.py", "only.py"}
    world.forge.git("checkout", "-q", "main")
    world.forge.git("branch", "-D", "copy")
    before = [row for row in world.store().dump() if row.branch == "main"]
    world.sync(runner)
    assert set(world.shown()) == {"main"}
    assert list(world.store().dump()) == before
    assert world.ledger.job(world.source("copy")) is None


def test_a_renamed_default_branch_is_there_before_the_old_one_goes(world):
    world.sync()
    world.forge.git("branch", "-m", "main", "trunk")
    world.ledger.want(world.source(""))
    runner = world.runner()
    seen = []
    while due := world.ledger.due():
        runner.run_one(due[0].source)
        seen.append(set(world.shown()))
    assert all(seen), "there is always one"
    assert seen[-1] == {"trunk"} and {"main", "trunk"} in seen
    assert world.states()["trunk"].default
    assert [job.source.branch for job in world.ledger.jobs(world.repo)] == ["", "trunk"]


def test_a_force_push_and_a_history_without_its_past_are_trees_like_others(world):
    world.sync()
    world.forge.git("checkout", "-q", "--orphan", "other")
    world.forge.git("rm", "-rqf", ".")
    world.forge.commit({"new.py": "def new(): pass\n", "lib/b.py": "def beta(): pass\n"})
    world.forge.git("branch", "-M", "other", "main")
    world.sync()
    assert world.shown() == {"main": {"new.py": "def new(): pass\n", "lib/b.py": "def beta(): pass\n"}}


def test_a_shallow_clone_is_a_forge_like_others(make_world, repository, tmp_path):
    origin = repository("origin")
    for number in range(3):
        origin.commit({"a.py": f"def alpha{number}(): pass\n"})
    world = make_world()
    shutil.rmtree(world.forge.folder)
    clone = ["git", "clone", "-q", "--depth=1", f"file://{origin.folder}", str(world.forge.folder)]
    subprocess.run(clone, check=True)
    world.sync()
    assert world.shown() == {"main": {"a.py": "def alpha2(): pass\n"}}
    origin.commit({"a.py": "def alpha3(): pass\n"})
    world.forge.git("fetch", "-q", "--depth=1", "origin", "main")
    world.forge.git("reset", "-q", "--hard", "FETCH_HEAD")
    world.sync()
    assert world.shown() == {"main": {"a.py": "def alpha3(): pass\n"}}


def test_a_repository_without_commits_is_no_failure(world, repository, tmp_path):
    repository("empty")
    empty = world.ledger.register(describe(str(tmp_path / "empty"), world.settings))
    world.ledger.want(Source(empty.repo, ""))
    world.drain(world.runner())
    assert world.ledger.job(Source(empty.repo, "")).state == "done"
    assert world.ledger.repository(empty.repo).note == "it has no commits yet"


def test_what_is_indexed_of_a_repository_that_vanished_stays_until_it_is_removed(world):
    world.sync()
    shown = world.shown()
    away = world.forge.folder.with_name("away")
    world.forge.folder.rename(away)
    world.sync()
    known = world.ledger.repository(world.repo)
    assert known.state == "gone" and known.note
    assert world.ledger.job(world.source("")).state == "failed"
    assert world.shown() == shown
    away.rename(world.forge.folder)
    world.sync()
    known = world.ledger.repository(world.repo)
    assert (known.state, known.note, world.ledger.job(world.source("")).state) == ("active", "", "done")


def test_removing_a_repository_removes_every_trace(world):
    world.ledger.update(world.repo, branches=("*",))
    world.forge.git("branch", "other")
    world.sync()
    assert list((world.settings.data_dir / "mirrors").glob("*.git"))
    world.ledger.remove(world.repo)
    world.drain(world.runner())
    assert world.shown() == {} and list(world.store().dump()) == []
    assert world.ledger.jobs() == [] and not world.ledger.removing(world.repo)
    assert not list((world.settings.data_dir / "mirrors").glob("*.git"))


# --------------------------------------------------------------------------------------------------------- rules and access


def test_other_rules_change_the_files_that_they_affect(world):
    world.forge.commit(
        {"big.py": "x = 1\n" * 100, ".gitattributes": "gen.py linguist-generated\n", "gen.py": "g = 1\n"}
    )
    world.sync(world.runner(settings=replace(world.settings, max_file_bytes=200)))
    assert set(world.shown()["main"]) == {".gitattributes", "a.py", "lib/b.py"}
    world.sync()
    assert set(world.shown()["main"]) == {".gitattributes", "a.py", "big.py", "lib/b.py"}
    world.ledger.update(world.repo, include_generated=True)
    world.sync()
    assert set(world.shown()["main"]) == {".gitattributes", "a.py", "big.py", "gen.py", "lib/b.py"}


def test_who_may_see_it_changes_without_reading_a_file(world):
    world.sync()
    world.ledger.update(world.repo, access=("staff",))
    world.sync()
    assert world.states()["main"].access == ("staff",)


def test_what_the_index_lost_is_asked_for_again(world):
    world.sync()
    world.store().forget(world.source())
    runner = world.runner()
    assert runner.audit() == 1
    world.drain(runner)
    assert set(world.shown()["main"]) == {"a.py", "lib/b.py"}
    assert runner.audit() == 0


# ------------------------------------------------------------------------------------------------- order, cancel, and kills


def test_a_run_that_overslept_its_lease_cannot_show_an_older_commit(world):
    world.sync()
    world.forge.commit({"a.py": "def old(): pass\n"})
    world.ledger.want(world.source(), commit="1" * 40)
    met = []

    def meanwhile():
        if not met:
            met.append(lapse(world))
            new = world.forge.commit({"a.py": "def new(): pass\n"})
            world.ledger.want(world.source(), commit=new)
            assert world.runner().run_one(world.source())

    late = world.runner(Interrupted(world.store(), before=meanwhile), beat_s=60)
    assert late.run_one(world.source())
    assert met and world.shown()["main"]["a.py"] == "def new(): pass\n"
    assert world.ledger.job(world.source()).indexed == world.forge.git("rev-parse", "HEAD")


def lapse(world):
    """The lease of the repository lapses, as that of a process that is asleep does."""
    world.ledger._rows.change(world.repo, lambda row: replace(row, lease=replace(row.lease, until=0.0)))
    return True


def test_a_cancelled_run_stops_and_what_it_had_done_is_used_when_it_is_tried_again(world):
    world.sync()
    world.forge.commit({f"f{number}.py": f"def f{number}(): pass\n" for number in range(300)})
    world.ledger.want(world.source(), commit="1" * 40)
    puts = []

    def between():
        puts.append(1)
        if len(puts) == 2:
            world.ledger.cancel(world.source())

    assert world.runner(Interrupted(world.store(), between=between), beat_s=0.01).run_one(world.source())
    job = world.ledger.job(world.source())
    assert job.state == "cancelled" and set(world.shown()["main"]) == {"a.py", "lib/b.py"}
    world.drain(world.runner())
    assert world.ledger.job(world.source()).state == "cancelled"
    world.ledger.retry(world.source())
    world.drain(world.runner())
    assert len(world.shown()["main"]) == 302


def test_a_process_that_ends_gives_its_job_back_without_counting_it(world):
    world.ledger.want(world.source())
    runner = world.runner(Interrupted(world.store(), before=lambda: runner.ending.set()))
    assert runner.run_one(world.source())
    job = world.ledger.job(world.source())
    assert (job.state, job.attempts, job.error) == ("waiting", 0, "")
    assert not runner.run_one(world.source())


PROGRAM = (
    f"{inspect.getsource(Interrupted)}"
    + """
import os, signal, sys
from pathlib import Path
from codequarry.ingest.jobs import LocalQueue, Runner
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.store.embedded import writer
from codequarry.types import Source

writer.PENDING_BYTES = 100
location, folder, repo, kill_at = sys.argv[1:]
settings = Settings(Path(folder), store=location, model="hash:64", local_repositories=True, job_attempts=2)
puts = []

def between():
    puts.append(1)
    if len(puts) == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

store = Interrupted(open_store(location, create=True), before=between, between=between)
print(Runner(store, open_ledger(location, settings), LocalQueue(), settings).run_one(Source(repo, "main")))
"""
)


def killed(world, kill_at):
    """Runs the job of main in a process that kills itself before it puts for the so many-th time; its exit status."""
    arguments = [sys.executable, "-c", PROGRAM, world.location, world.settings.data_dir, world.repo, str(kill_at)]
    return subprocess.run(arguments, check=False, capture_output=True).returncode


def test_kills_that_come_faster_than_a_run_cannot_starve_it(make_world):
    world = make_world(job_attempts=2)
    world.forge.commit({f"d/f{number}.py": f"def f{number}(): pass\n" for number in range(800)})
    world.ledger.want(world.source())
    statuses = []
    while not statuses or statuses[-1]:
        assert len(statuses) < 12
        statuses.append(killed(world, 4))  # at the third batch: two of them are in the index
    assert len(statuses) > 2
    job = world.ledger.job(world.source())
    assert (job.state, len(world.shown()["main"])) == ("done", 802)


def test_a_source_that_kills_every_run_is_given_up_with_a_reason(make_world):
    world = make_world(job_attempts=2)
    world.ledger.want(world.source())
    assert [killed(world, 1), killed(world, 1), killed(world, 1)] == [-9, -9, 0]
    job = world.ledger.job(world.source())
    assert job.state == "failed" and "given up after 2 attempts" in job.error
    assert world.ledger.due() == []


def test_an_error_is_shown_with_its_hint_and_the_others_go_on(world, repository, tmp_path):
    other = repository("other")
    other.commit({"o.py": "def other(): pass\n"})
    registered = world.ledger.register(describe(str(other.folder), world.settings))
    other.folder.rename(tmp_path / "nowhere")
    world.ledger.want(Source(registered.repo, ""))
    world.sync()
    job = world.ledger.job(Source(registered.repo, ""))
    assert job.state == "failed" and job.error and job.hint
    assert world.ledger.job(world.source()).state == "done"


def test_a_branch_that_is_not_wanted_or_not_there_gets_no_index(world):
    world.sync()
    world.forge.git("branch", "feature")
    world.ledger.want(world.source("feature"))
    world.ledger.want(world.source("none"))
    world.drain(world.runner())
    assert set(world.shown()) == {"main"}
    assert [job.source.branch for job in world.ledger.jobs(world.repo)] == ["", "main"]


# -------------------------------------------------------------------------------------------------------------- two queues


def test_a_worker_without_the_model_does_what_needs_none_and_hands_over_the_rest(world):
    settings = replace(world.settings, model="transformers:counting")
    model = CountingModel()
    sync = world.runner(settings=settings, queues=["sync"])
    embed = world.runner(settings=settings, queues=["embed"], embedder=model)

    world.ledger.want(world.source(""))
    assert sync.run_one(world.source(""))
    assert sync.run_one(world.source())
    job = world.ledger.job(world.source())
    assert (job.state, job.queue, job.attempts) == ("waiting", "embed", 0)
    assert not sync.run_one(world.source())
    assert embed.run_one(world.source())
    assert world.ledger.job(world.source()).state == "done"
    texts = model.texts

    # A file that is gone, and a file that another branch has, need no model.
    world.drain(sync)
    world.forge.git("rm", "-q", "a.py")
    world.forge.commit()
    world.ledger.update(world.repo, branches=("*",))
    world.forge.git("branch", "copy")
    world.sync(sync)
    assert world.shown() == {branch: {"lib/b.py": "def beta(): pass\n"} for branch in ("main", "copy")}
    assert model.texts == texts

    world.forge.commit({"new.py": "def new(): pass\n"})
    world.ledger.want(world.source(""))
    sync.run_one(world.source(""))
    sync.run_one(world.source())
    assert world.ledger.job(world.source()).queue == "embed"
    assert embed.run_one(world.source())
    assert model.texts == texts + 1
    assert "new.py" in world.shown()["main"]


def test_a_worker_of_the_queue_sync_never_imports_torch(tmp_path):
    program = """
import sys
from codequarry.ingest import jobs
assert not jobs.is_light("transformers:some/model")
assert jobs.is_light("code") and jobs.is_light("code:folder") and jobs.is_light("static:folder") and jobs.is_light("hash:64")
assert not {"torch", "sentence_transformers", "transformers", "celery"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# ---------------------------------------------------------------------------------------------------------------- the loop


def test_the_loop_does_what_is_due_and_ends_when_it_is_told_to(world):
    stop, done = threading.Event(), threading.Event()

    class Told(LocalQueue):
        """A queue that also tells the test."""

        def poke(self, kind, source):
            super().poke(kind, source)

    world.queue = Told()
    runner = world.runner()
    run_one = runner.run_one

    def observed(source):
        ran = run_one(source)
        if world.ledger.job(world.source()) and world.ledger.job(world.source()).state == "done":
            done.set()
        return ran

    runner.run_one = observed
    thread = threading.Thread(target=runner.loop, args=(stop,), kwargs={"idle_s": 60})
    thread.start()
    world.ledger.want(world.source(""))
    world.queue.poke("sync", world.source(""))
    assert done.wait(60)
    stop.set()
    world.queue.poke("sync", world.source(""))
    thread.join(60)
    assert not thread.is_alive()
    assert set(world.shown()["main"]) == {"a.py", "lib/b.py"}


def test_what_is_due_is_put_into_the_queues_again(world):
    poked = []

    class Seen(LocalQueue):
        def poke(self, kind, source):
            poked.append((kind, source))

    world.queue = Seen()
    world.ledger.want(world.source())
    world.ledger.take(world.source(), "elsewhere", 0.0).hand_over("embed")
    world.runner().reconcile()
    assert poked == [("embed", world.source())]
    assert world.ledger.take(world.source(), owner.me(), 60)
    world.runner().reconcile()
    assert len(poked) == 1
