"""A source of Elasticsearch that stands on what another showed: what it costs, and that nobody takes it away."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from itertools import pairwise

import pytest
from builders import EMBEDDER, blob_of, publish, state, version
from hypothesis import given
from hypothesis import strategies as st

from codequarry.ingest.pipeline import Pipeline
from codequarry.store.elastic import layers
from codequarry.store.elastic.client import Client
from codequarry.store.elastic.documents import Mark
from codequarry.store.elastic.history import History, Moved
from codequarry.store.elastic.ledger import row_at, row_back
from codequarry.types import FileKey, Pattern, Request, Scope, Shown, Source

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")
FILES = {f"src/f{number}.py": f"value = {number}\n" for number in range(4)}
LATER = {**FILES, "src/f0.py": "later = 1\n"}


def begin(store, source=NEXT, base=MAIN):
    """Publishes a source that shows what another shows."""
    with store.publish(source) as publication:
        publication.begin_with(base)
        publication.commit(state(source), show=())


def row_of(store, source):
    return row_back(store._client.get(row_at(store._names, source)).source)


def texts(store, source):
    """What a search finds of a source: path and text of every chunk, without those that were removed."""
    store._client.refresh(store._names.chunks)
    found = store.retrieve(Request(scope=Scope(sources=(source,), patterns=(Pattern(""),)))).candidates
    return {one.path: text + "\n" for one, text in zip(found, store.texts(found), strict=True)}


# ------------------------------------------------------------------------------------------------------------------- costs


@pytest.fixture
def written(monkeypatch):
    """Counts the documents that are written, by index, sort and verb."""
    counts = Counter()
    write = Client.write

    def counted(self, writes, *, refresh=False):
        listed = list(writes)
        for item in listed:
            index = item.at.alias.rpartition("-")[2]
            kind = {"e": "entry", "v": "version"}[item.at.id[0]] if index == "files" else index
            counts[kind, item.verb] += 1
        return write(self, listed, refresh=refresh)

    monkeypatch.setattr(Client, "write", counted)
    return counts


@pytest.fixture
def looked_at(monkeypatch):
    """Counts the documents that are read or found, of all indices."""
    counts = Counter()

    def count(name, size):
        method = getattr(Client, name)

        def counted(self, *arguments, **named):
            answer = method(self, *arguments, **named)
            counts[name] += size(arguments, answer)
            return answer

        monkeypatch.setattr(Client, name, counted)

    count("read", lambda arguments, _: len(arguments[0]))
    count("search", lambda _, answer: len(answer["hits"]["hits"]))
    return counts


@pytest.fixture
def repository(tmp_path):
    """Makes a repository of so many files with the branches main, next (equal to it) and work (one file changed)."""

    def make(size):
        folder = tmp_path / f"of{size}"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
        who = "committer n <n@example.com> 1700000000 +0000\ndata 1\nc\n"
        script = f"commit refs/heads/main\nmark :1\n{who}"
        for number in range(size):
            text = f"def function_{number}(x):\n    return x + {number}\n"
            script += f"M 644 inline d{number % 5}/f{number}.py\ndata {len(text)}\n{text}\n"
        script += f"commit refs/heads/work\n{who}from :1\nM 644 inline d1/f1.py\ndata 6\nx = 1\n\n"
        script += "reset refs/heads/next\nfrom :1\n"
        subprocess.run(["git", "--git-dir", str(folder), "fast-import", "--quiet"], input=script.encode(), check=True)
        return folder

    return make


def test_a_commit_and_an_equal_branch_write_as_little_in_a_large_repository_as_in_a_small_one(
    store, repository, written, looked_at, tmp_path
):
    pipeline = Pipeline(store, EMBEDDER, mirrors=tmp_path / "mirrors", processes=1)
    seen = []
    for size in (6, 120):
        folder = repository(size)
        pipeline.index(str(folder), branches=["main"])
        assert written["chunks", "create"] == size
        written.clear()
        (report,) = pipeline.index(str(folder), branches=["next"])
        assert (report.state.files, report.unchanged, report.added) == (size, size, 0)
        branch = Counter(written)
        subprocess.run(
            ["git", "--git-dir", str(folder), "update-ref", "refs/heads/main", "refs/heads/work"], check=True
        )
        written.clear()
        looked_at.clear()
        (report,) = pipeline.index(str(folder), branches=["main"])
        assert (report.changed, report.unchanged) == (1, size - 1)
        seen.append((branch, Counter(written), looked_at["read"]))
        # Only the rows of all sources, of which there are more each time.
        assert looked_at["search"] <= 4 * len(store.sources())
        written.clear()
    assert seen[0] == seen[1]
    branch, commit, _ = seen[0]
    assert {kind for kind, _ in branch} == {"ledger"}
    assert sum(branch.values()) < 10
    assert commit["chunks", "create"] == commit["entry", "index"] == commit["version", "create"] == 1
    assert {kind: verbs for (kind, verb), verbs in commit.items() if verb == "delete" and kind != "ledger"} == {}


# ------------------------------------------------------------------------------------------------------------------ safety


def test_a_publication_that_is_about_to_be_shown_when_a_branch_begins_keeps_what_the_branch_stands_on(
    store, monkeypatch
):
    publish(store, MAIN, FILES)
    refresh, begun = Client.refresh, []

    def be_joined(client, *indices):
        refresh(client, *indices)
        if len(indices) == 2 and not begun:  # all is written, and the pointer about to move
            begun.append(NEXT)
            begin(store)

    monkeypatch.setattr(Client, "refresh", be_joined)
    change(store, MAIN, LATER)
    assert begun
    change(store, MAIN, {**LATER, "src/f0.py": "still later = 1\n"})
    assert texts(store, NEXT) == FILES
    assert list(row_of(store, MAIN).snapshots.values()) == [1]


def test_a_branch_that_begins_while_the_other_is_published_begins_with_the_old_or_the_new(store, monkeypatch):
    publish(store, MAIN, FILES)
    change = layers.change
    overtaken = []

    def be_overtaken(*arguments):
        if not overtaken:
            overtaken.append(publish(store, MAIN, LATER))
        return change(*arguments)

    monkeypatch.setattr(layers, "change", be_overtaken)
    begin(store)
    assert overtaken
    publish(store, MAIN, {"src/f1.py": FILES["src/f1.py"]})
    assert texts(store, NEXT) == LATER


def test_a_branch_that_begins_with_one_that_is_forgotten_meanwhile_does_not_stand_on_what_that_stood_on(
    store, monkeypatch
):
    third = Source(MAIN.repo, "third")
    publish(store, MAIN, FILES)
    begin(store)
    hold, forgotten = layers.hold, []

    def be_late(*arguments):
        if not forgotten:
            forgotten.append(NEXT)
            store.forget(NEXT)
            change(store, MAIN, LATER)
        hold(*arguments)

    monkeypatch.setattr(layers, "hold", be_late)
    begin(store, third, NEXT)
    assert forgotten
    assert texts(store, third) == {}


def test_a_publication_that_was_overtaken_takes_away_only_what_it_began_with_itself(store, elasticsearch_url):
    publish(store, MAIN, FILES)
    late = store.publish(NEXT)
    late.begin_with(MAIN)
    begin(store)
    with contextlib.suppress(Exception):
        late.__exit__(ValueError, ValueError(), None)
    publish(store, MAIN, LATER)
    store.compact()
    assert (texts(store, MAIN), texts(store, NEXT)) == (LATER, FILES)


def test_what_a_dead_publication_began_with_is_let_go(store):
    publish(store, MAIN, FILES)
    dead = store.publish(NEXT)
    dead.begin_with(MAIN)  # and is killed
    publish(store, MAIN, LATER)
    assert row_of(store, MAIN).snapshots
    with store.publish(NEXT):
        pass
    store.compact()
    row = row_of(store, MAIN)
    assert (row.snapshots, row.dropped) == ({}, ())
    with store.publish(MAIN) as publication:
        assert publication.have([FileKey("src/f0.py", blob_of(FILES["src/f0.py"]))]) == set()


def change(store, source, files):
    """Publishes a source anew, naming differences alone."""
    with store.publish(source) as publication:
        shown = publication.shown()
        changed = [version(path, text) for path, text in files.items()]
        changed = [file for file in changed if file.path not in shown or shown[file.path].blob != file.blob]
        publication.put(changed)
        publication.commit(
            state(source),
            show=[Shown(*file.key) for file in changed],
            hide=[path for path in shown if path not in files],
        )


def whole(store, files):
    """Those of the versions that are in the store."""
    with store.publish(Source(MAIN.repo, "looks")) as publication:
        keys = {path: FileKey(path, blob_of(text)) for path, text in files.items()}
        there = publication.have(keys.values())
        return {path for path, key in keys.items() if key in there}


def test_what_a_branch_stands_on_is_kept_as_long_as_it_shows_it_and_no_longer(store):
    publish(store, MAIN, FILES)
    begin(store)
    change(store, NEXT, {**FILES, "src/f0.py": "own = 1\n"})
    change(store, MAIN, {"src/f3.py": FILES["src/f3.py"]})
    kept = {"src/f1.py", "src/f2.py", "src/f3.py"}
    assert whole(store, FILES) == kept
    assert texts(store, NEXT) == {**FILES, "src/f0.py": "own = 1\n"}
    change(store, NEXT, {"src/f1.py": FILES["src/f1.py"], "src/f2.py": "own = 2\n", "src/f3.py": FILES["src/f3.py"]})
    assert texts(store, NEXT) == {path: FILES[path] for path in ("src/f1.py", "src/f3.py")} | {"src/f2.py": "own = 2\n"}
    store.forget(NEXT)
    with store.publish(Source(MAIN.repo, "looks")):
        pass  # it held them
    store.compact()
    assert whole(store, FILES) == {"src/f3.py"}
    assert texts(store, MAIN) == {"src/f3.py": FILES["src/f3.py"]}


def test_a_branch_that_began_with_one_that_looked_there_is_seen_by_a_cleaner_that_looked_before(store, monkeypatch):
    third = Source(MAIN.repo, "third")
    publish(store, MAIN, FILES)
    begin(store)
    look, begun = layers._look, []

    def be_overtaken(*arguments):
        if not begun:
            begun.append(third)
            begin(store, third, NEXT)
            change(store, NEXT, LATER)
        return look(*arguments)

    monkeypatch.setattr(layers, "_look", be_overtaken)
    change(store, MAIN, {"src/f1.py": FILES["src/f1.py"]})
    assert begun
    assert (texts(store, NEXT), texts(store, third)) == (LATER, FILES)


def test_a_branch_of_a_long_line_of_branches_stands_on_a_bounded_number_of_layers(store):
    publish(store, MAIN, FILES)
    line = [MAIN, *(Source(MAIN.repo, f"b{number}") for number in range(8))]
    for base, source in pairwise(line):
        with store.publish(source) as publication:
            shown = publication.begin_with(base)
            there = publication.have(FileKey(path, blob_of(content)) for path, content in FILES.items())
            publication.commit(state(source), show=[Shown(*key) for key in there if key.path not in shown])
    assert max(len(row_of(store, source).layers) for source in line) == layers.MOST_LAYERS
    assert all(texts(store, source) == FILES for source in line)


# ----------------------------------------------------------------------------------------------------------------- history

STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "commit", "abort", "begin", "end"]), st.sampled_from(["", "a", "b", None])),
    max_size=30,
)


@given(STEPS)
def test_a_history_says_what_counted_at_every_epoch_that_is_needed_and_is_never_wrong_of_another(steps):
    history, pointer, epoch = None, 0, 0
    aborted, kept, counted = set(), [], {0: None}
    for what, blob in steps:
        if what == "begin":
            kept.append(pointer)
        elif what == "end" and kept:
            kept.pop(0)
            history = history and history.without(kept)
        elif what in ("commit", "abort"):
            epoch += 1
            if blob is not None:
                new = Mark(epoch, blob)
                history = history.then(new, pointer, aborted, kept) if history else History(new)
            if what == "abort":
                aborted.add(epoch)
            else:
                counted[epoch] = counted[pointer] if blob is None else new
                pointer = epoch
        for asked, said in counted.items() if history else ():
            try:
                assert history.at(asked, aborted) == said
            except Moved:
                assert asked != pointer
                assert asked not in kept
        assert history is None or len(history.older) <= len(set(kept))
