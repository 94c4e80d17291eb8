"""Random histories, through the ledger and the jobs: after each push the index equals one that was built from nothing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hooked import Forge, Service, environment, git
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.settings import Settings, load
from codequarry.store import open_ledger, open_store
from codequarry.types import Source

PATHS = st.sampled_from(["a.py", "b.go", "d/a.py", "d/e/c.md", "d/x y.txt", "gen/é.py", "run.sh"])
TEXTS = st.sampled_from(
    [
        "def alpha(): pass\n",
        "def beta():\n    return 1\n",
        "package b\n\nfunc C() {}\n",
        "# words\n\nmore of them\n",
        "",
    ]
)
IGNORES = st.sampled_from(["", "gen/\n", "*.md\n", "d/\n!d/a.py\n"])
BRANCHES = st.sampled_from(["main", "release-1", "me/try"])


class Index:
    """An index with its ledger and runner."""

    def __init__(self, location, data):
        self.settings = Settings(data, store=location, model="hash:64", local_repositories=True)
        self.ledger, self.store = open_ledger(location, self.settings), open_store(location, create=True)
        self.runner = Runner(self.store, self.ledger, LocalQueue(), self.settings)

    def sync(self, forge):
        repository = describe(str(forge), self.settings, branches=["*"])
        if self.ledger.repository(repository.repo) is None:
            self.ledger.register(repository)
        self.ledger.want(Source(repository.repo, ""))
        while due := self.ledger.due():
            self.runner.run_one(due[0].source)
        failed = [job for job in self.ledger.jobs() if job.state != "done"]
        assert failed == []
        return list(self.store.dump())

    def states(self):
        return {state.source.branch: (state.commit, state.default) for state in self.store.sources()}

    def left_out(self):
        return {state.source.branch: self.store.skipped(state.source) for state in self.store.sources()}

    def close(self):
        self.ledger.close()
        self.store.close()


class History(RuleBasedStateMachine):
    """One repository that things happen to, and the index that follows it."""

    location: str | None = None

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.forge = self.folder / "forge"
        self.forge.mkdir()
        self.git("init", "-q", "-b", "main")
        (self.forge / "a.py").write_text("def first(): pass\n")
        self.commit()
        self.number = 0
        self.published = self.forge  # what is indexed
        self.index = self.begun()
        self.follow()

    def begun(self):
        """The index that is to follow."""
        return Index(self.location or str(self.folder / "index"), self.folder / "data")

    def git(self, *arguments):
        command = ["git", "-C", self.forge, "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")

    def files(self):
        return [path for path in self.git("ls-files", "-z").split("\0") if path]

    def follow(self):
        """The index follows, and is compared with one that is made from nothing."""
        rows = self.index.sync(self.published)
        self.number += 1
        clean = Index(str(self.folder / f"clean{self.number}"), self.folder / f"data{self.number}")
        try:
            assert rows == clean.sync(self.published)
            assert self.index.states() == clean.states()
            assert self.index.left_out() == clean.left_out()
        finally:
            clean.close()
            shutil.rmtree(self.folder / f"clean{self.number}")
            shutil.rmtree(self.folder / f"data{self.number}")

    def place(self, path):
        """The path, once nothing stands in its way."""
        full = self.forge / path
        for above in list(full.parents)[: len(Path(path).parts) - 1]:
            if above.is_symlink() or above.is_file():
                above.unlink()
        if full.is_symlink() or full.is_file():
            full.unlink()
        full.parent.mkdir(parents=True, exist_ok=True)
        return full

    @rule(path=PATHS, text=TEXTS)
    def write(self, path, text):
        self.place(path).write_text(text)
        self.commit()
        self.follow()

    @precondition(lambda self: len(self.files()) > 1)
    @rule(data=st.data(), path=PATHS, keep=st.booleans())
    def move_or_copy(self, data, path, keep):
        source = self.forge / data.draw(st.sampled_from(self.files()))
        if source == self.forge / path or source.is_symlink():
            return
        content = source.read_bytes()
        if not keep:
            source.unlink()
        self.place(path).write_bytes(content)
        self.commit()
        self.follow()

    @precondition(lambda self: len(self.files()) > 1)
    @rule(data=st.data())
    def delete(self, data):
        self.git("rm", "-qf", "--", data.draw(st.sampled_from(self.files())))
        self.commit()
        self.follow()

    @rule(path=PATHS, executable=st.booleans())
    def change_the_type_or_mode(self, path, executable):
        full = self.forge / path
        if executable and full.is_file() and not full.is_symlink():
            full.chmod(0o755)
        else:
            self.place(path).symlink_to("a.py")
        self.commit()
        self.follow()

    @rule(rules=IGNORES)
    def edit_the_ignore_file(self, rules):
        self.place(".codequarryignore").write_text(rules)
        self.commit()
        self.follow()

    @rule(branch=BRANCHES)
    def change_to_a_branch(self, branch):
        there = self.git("branch", "--list", "--format=%(refname:short)").split("\n")
        self.git("checkout", "-q", *([] if branch in there else ["-b"]), branch)
        self.follow()

    @rule(branch=BRANCHES)
    def delete_a_branch(self, branch):
        there = self.git("branch", "--list", "--format=%(refname:short)").split("\n")
        if branch in there and branch != self.git("branch", "--show-current"):
            self.git("branch", "-D", branch)
            self.follow()

    @rule(branch=BRANCHES)
    def merge_a_branch(self, branch):
        there = self.git("branch", "--list", "--format=%(refname:short)").split("\n")
        if branch in there:
            try:
                self.git("merge", "-q", "--no-edit", "-X", "theirs", "--allow-unrelated-histories", branch)
            except subprocess.CalledProcessError:  # changed here and deleted there
                self.git("merge", "--abort")
            self.follow()

    @rule(back=st.integers(1, 4))
    def force_push(self, back):
        commits = self.git("rev-list", "HEAD").split("\n")
        self.git("reset", "-q", "--hard", commits[min(back, len(commits) - 1)])
        self.follow()

    def teardown(self):
        if self.location is not None:
            self.index.ledger.remove(self.index.ledger.repositories()[0].repo)
            while due := self.index.ledger.due():
                self.index.runner.run_one(due[0].source)
            assert list(self.index.store.dump()) == [] and self.index.store.sources() == []
        self.index.close()
        shutil.rmtree(self.folder)


class Followed:
    """The index of a service (`hooked.Service`) that hears of each push by a signed webhook, and works as it does in a team."""

    def __init__(self, service, clone, bare):
        self.service, self.clone = service, clone
        self.forge = Forge(bare, clone)
        self.store = None

    def sync(self, bare):
        git(bare, "symbolic-ref", "HEAD", f"refs/heads/{git(self.clone, 'branch', '--show-current')}")
        if not self.forge.repo:
            git(self.clone, "push", "-q", "--mirror", bare)
            self.service.register(self.forge, ["*"])
            settings = load(self.service.folder, self.service.env)
            self.store = open_store(settings.store, settings=settings)
        else:
            before = self.forge.heads()
            self.forge.push("--mirror")
            if self.forge.heads() == before:
                self.forge.post()
            self.service.follow(self.forge)
        return [row for row in self.store.dump() if row.repo == self.forge.repo]

    def states(self):
        mine = [state for state in self.store.sources() if state.source.repo == self.forge.repo]
        return {state.source.branch: (state.commit, state.default) for state in mine}

    def left_out(self):
        mine = [state for state in self.store.sources() if state.source.repo == self.forge.repo]
        return {state.source.branch: self.store.skipped(state.source) for state in mine}

    def close(self):
        self.service.ask("DELETE", f"/v1/repositories/{self.forge.repo}")
        self.service.until(lambda: not self.states())
        assert [row for row in self.store.dump() if row.repo == self.forge.repo] == []
        self.store.close()


class Hooked(History):
    """The same, where each push goes to a forge whose hook posts to `service`."""

    service: Service
    followed = 0

    @initialize(number=st.integers(0, 1 << 32))
    def begin_at_random(self, number):
        """The first history of any run is the simplest one, the same step again and again: it does not count."""
        assume(number)

    def begun(self):
        self.published = self.folder / "forge.git"
        return Followed(self.service, self.forge, self.published)

    def follow(self):
        super().follow()
        type(self).followed += 1


def run(machine, histories, pushes, least=0):
    """`least`: so many steps of each history there are in any case."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    given = settings(
        max_examples=histories,
        stateful_step_count=pushes,
        deadline=None,  # benches run it without the tests' profile
        suppress_health_check=checks,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate] if least else list(Phase),
    )
    run_state_machine_as_test(machine, settings=given, _min_steps=least)


@pytest.mark.slow
def test_the_embedded_index_equals_a_clean_one_after_every_push():
    run(History, 3, 20)


@pytest.mark.slow
@pytest.mark.elasticsearch
def test_the_index_in_elasticsearch_equals_a_clean_one_after_every_push(elasticsearch_url, elasticsearch_prefix):
    class There(History):
        location = f"{elasticsearch_url}?prefix={elasticsearch_prefix}"

    run(There, 2, 12)


@pytest.mark.slow
def test_an_index_that_hears_of_pushes_by_webhooks_equals_a_clean_one_after_each(tmp_path):
    """The whole way: git push, hook, signed webhook, ledger, jobs. `bench/soak.py` goes on for longer."""

    class Here(Hooked):
        service = Service(tmp_path, environment(tmp_path, model="hash:64"))

    try:
        run(Here, 1, 4, least=3)
    finally:
        Here.service.close()
