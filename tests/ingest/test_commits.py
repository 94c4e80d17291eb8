"""Listing a commit: with the hints of one that was listed before, only what differs is listed; both together are the whole."""

from __future__ import annotations

import random

import pytest

from codequarry.ingest import repos
from codequarry.ingest.files import FileOptions
from codequarry.ingest.hints import verdicts_of
from codequarry.ingest.pipeline import Pipeline
from codequarry.models import open_embedder
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Skipped, Source

PATHS = [b"a.py", b"b.go", b"d/a.py", b"d/e/c.md", b"d/x y.txt", b"gen/\xff.py", b"d", b"big.txt"]
CONTENTS = [b"def alpha(): pass\n", b"package b\n", b"# words\n", b"", b"x" * 2_000, b"\0binary"]
RULES = {
    b".codequarryignore": [b"", b"gen/\n", b"*.md\n"],
    b"d/.gitattributes": [b"* linguist-generated\n", b"*.py linguist-vendored\n", b"*.py text\n"],
}
OPTIONS = FileOptions(max_bytes=1_000)


def commit(made, paths):
    """Commits exactly these: paths with mode and content."""
    script = b"commit refs/heads/main\ncommitter n <n@example.com> 1700000000 +0000\ndata 1\nc\ndeleteall\n"
    for path, (mode, content) in paths.items():
        if mode == b"160000":
            script += b"M 160000 " + b"1" * 40 + b" " + path + b"\n"
        else:
            script += b"M %s inline %s\ndata %d\n%s\n" % (mode, path, len(content), content)
    made.git("update-ref", "-d", "refs/heads/main")  # an orphan, as a mirror has it
    made.git("fast-import", "--quiet", stdin=script)


def change(paths, chance):
    """Some of what people do to a tree; what stands in the way of a path goes."""
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        path = chance.choice(PATHS)
        if chance.random() < 0.3:
            paths.pop(path, None)
            continue
        for there in list(paths):
            if there.startswith(path + b"/") or path.startswith(there + b"/"):
                del paths[there]
        mode = chance.choice([b"100644", b"100644", b"100755", b"120000", b"160000"])
        paths[path] = mode, chance.choice(CONTENTS) or b"e"
    if chance.random() < 0.2:
        path = chance.choice(list(RULES))
        paths.pop(path, None)
        if chance.random() < 0.7 and (b"/" not in path or b"d" not in paths):
            paths[path] = b"100644", chance.choice(RULES[path])


def listed(made, hints):
    (tree,) = repos.trees(
        str(made.folder), mirrors=made.folder, branches=["main"], hints=lambda _: hints, options=OPTIONS
    )
    return tree


@pytest.mark.parametrize("seed", range(4))
def test_what_differs_and_what_was_listed_before_are_together_the_whole_tree(repository, seed):
    chance, made, paths, compared = random.Random(seed), repository("bare", "--bare"), {}, 0
    commit(made, paths)
    before = listed(made, b"")
    hints = before.hints
    for _ in range(25):
        change(paths, chance)
        commit(made, paths)
        tree = listed(made, hints)
        whole = tree.whole()
        assert whole.since is None
        if tree.since is not None:
            compared += 1
            differing = tree.since.before
            for what in ("entries", "skipped"):
                stay = [one for one in getattr(before, what) if one.path not in differing]
                assert sorted([*stay, *getattr(tree, what)]) == sorted(getattr(whole, what))
            assert {one.path for one in (*tree.entries, *tree.skipped)} <= differing.keys()
            shown = {entry.path: entry.blob for entry in before.entries if entry.path in differing}
            left_out = {one.path for one in before.skipped}
            assert {path: item.blob for path, item in tree.since.shown(left_out).items()} == shown
            assert verdicts_of(tree.hints) == verdicts_of(whole.hints)
        # As an index run does: what the content rules out is not looked at again.
        binary = [entry for entry in tree.entries if entry.size == 7]
        hints = tree.learnt(Skipped(entry.path, "binary") for entry in binary)
        before = listed(made, hints).whole()
    assert compared > 10


def test_all_is_listed_where_rules_changed_or_the_commit_before_is_gone(repository):
    made = repository("bare", "--bare")
    paths = {b"a.py": (b"100644", b"1\n"), b".codequarryignore": (b"100644", b"x\n")}
    commit(made, paths)
    hints = listed(made, b"").hints
    assert listed(made, hints).since is not None
    other = FileOptions(max_bytes=999)
    (tree,) = repos.trees(
        str(made.folder), mirrors=made.folder, branches=["main"], hints=lambda _: hints, options=other
    )
    assert tree.since is None
    commit(made, {**paths, b".codequarryignore": (b"100644", b"a.py\n")})
    assert listed(made, hints).since is None
    commit(made, {**paths, b"b.py": (b"100644", b"2\n")})
    assert [entry.path for entry in listed(made, hints).entries] == ["b.py"]
    gone = verdicts_of(hints)["listed"]["commit"]
    made.git("gc", "-q", "--prune=now")
    assert made.git("cat-file", "-t", gone, check=False) == ""
    assert [entry.path for entry in listed(made, hints).entries] == [".codequarryignore", "a.py", "b.py"]


def test_after_a_file_that_could_not_be_read_all_is_listed(repository):
    made = repository("bare", "--bare")
    commit(made, {b"a.py": (b"100644", b"1\n")})
    tree = listed(made, b"")
    assert listed(made, tree.learnt([])).since is not None
    assert listed(made, tree.learnt([Skipped("a.py", "unreadable")])).since is None


@pytest.fixture
def pipeline(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    yield Pipeline(store, open_embedder("hash:64"), mirrors=tmp_path / "mirrors", processes=1)
    store.close()


def test_what_was_listed_against_something_that_is_published_no_more_is_listed_anew(repository, pipeline):
    made = repository()
    made.commit({"a.py": "a = 1\n", "b.py": "b = 1\n"})
    pipeline.index(str(made.folder), branches=["main"])
    made.commit({"a.py": "a = 2\n"})
    (late,) = repos.trees(str(made.folder), mirrors=made.folder, branches=["main"], hints=pipeline.store.hints)
    made.commit({"b.py": "b = 2\n", "c.py": "c = 1\n"})
    (report,) = pipeline.index(str(made.folder), branches=["main"])
    assert (report.added, report.changed, report.unchanged) == (1, 2, 0)
    assert late.since is not None
    assert [entry.path for entry in late.entries] == ["a.py"]
    report = pipeline.publish(late, lambda _: None)
    assert (report.changed, report.removed, report.unchanged) == (1, 1, 1)
    source = Source(f"local{made.folder}", "main")
    assert {path: pipeline.store.read_file(source, path).text for path in pipeline.store.paths(source)} == {
        "a.py": "a = 2\n",
        "b.py": "b = 1\n",
    }


def test_a_commit_that_changes_nothing_that_counts_is_shown_as_the_one_it_is(repository, pipeline):
    made = repository()
    made.commit({"a.py": "a = 1\n", "logo.png": b"\0"})
    pipeline.index(str(made.folder), branches=["main"])
    head = made.commit({"logo.png": b"\0\0"})
    (report,) = pipeline.index(str(made.folder), branches=["main"])
    assert (report.unchanged, report.changed, report.removed, report.skipped) == (1, 0, 0, 1)
    assert report.state.commit == head
    (made.folder / "logo.png").unlink()
    made.commit()
    (report,) = pipeline.index(str(made.folder), branches=["main"])
    assert (report.unchanged, report.removed, report.skipped) == (1, 0, 0)
