"""The embedded store by itself: whether there is an index, its lock, many publications, what it imports."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import EMBEDDER, RECIPE, publish, state, version
from indexed import FILES, MAIN, OTHER, dot, names, run

from codequarry.errors import IndexMissing, ModelMismatch, SchemaMismatch, StoreError, WriterBusy
from codequarry.store.embedded import EmbeddedStore, writer
from codequarry.types import Request, Shown

# --------------------------------------------------------------------------------------------------- there, or not, or other


def test_a_folder_without_an_index_is_refused_and_not_made(folder: Path) -> None:
    with pytest.raises(IndexMissing) as raised:
        EmbeddedStore(folder)
    assert "codequarry index" in raised.value.hint
    assert not folder.exists()


def test_an_index_that_was_only_begun_is_none_and_can_be_made(
    folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    folder.mkdir()
    (folder / "quarry.db").write_bytes(b"")
    (folder / "vectors.i8").write_bytes(b"half")
    with pytest.raises(IndexMissing):
        EmbeddedStore(folder)
    store = opened(folder, create=True)
    assert store.model() is None
    with pytest.raises(IndexMissing):
        store.publish(MAIN)
    with pytest.raises(IndexMissing):
        store.retrieve(Request(terms=("lock",)))
    store.prepare(EMBEDDER, RECIPE)
    publish(store, MAIN, FILES)
    assert names(store, "lock") == {"a.py", "b.py"}


@pytest.mark.parametrize(("layout", "advice"), [(99, "upgrade"), (0, "delete")])
def test_an_index_of_another_layout_is_refused_with_what_to_do(
    store: EmbeddedStore, folder: Path, layout: int, advice: str
) -> None:
    publish(store, MAIN, FILES)
    store.close()
    with sqlite3.connect(folder / "quarry.db") as database:
        database.execute("update meta set value = ? where key = 'schema'", (layout,))
    database.close()
    with pytest.raises(SchemaMismatch) as raised:
        EmbeddedStore(folder)
    assert advice in raised.value.hint
    with pytest.raises(SchemaMismatch):
        EmbeddedStore(folder, create=True)


def test_another_version_of_the_same_model_is_refused_too(store: EmbeddedStore) -> None:
    class Newer:
        name, dim, fingerprint, cached = EMBEDDER.name, EMBEDDER.dim, "other", False

    newer: Any = Newer()
    with pytest.raises(ModelMismatch) as raised:
        store.prepare(newer, RECIPE)
    assert "another version" in raised.value.message


def test_versions_made_by_another_recipe_are_made_again(store: EmbeddedStore) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    store.prepare(EMBEDDER, "new-recipe")
    files = builders.versions(FILES)
    with store.publish(MAIN) as publication:
        assert publication.have(file.key for file in files) == set()
        publication.put(files)
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in files])
    assert list(store.dump()) == before
    assert names(store, "lock") == {"a.py", "b.py"}
    store.compact()
    assert list(store.dump()) == before
    assert len(store.retrieve(Request(terms=("lock",))).candidates) == 2


# ---------------------------------------------------------------------------------------------------------------- the lock


def test_a_second_writer_is_told_who_writes_and_readers_do_not_wait(
    store: EmbeddedStore, folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    publish(store, MAIN, FILES)
    other = opened(folder)
    with store.publish(MAIN):
        with pytest.raises(WriterBusy) as raised:
            other.publish(OTHER)
        assert f"process {os.getpid()} (indexing {MAIN})" in raised.value.message
        assert names(other, "lock") == {"a.py", "b.py"}
        (check,) = [one for one in other.check() if one.part == "writer"]
        assert str(os.getpid()) in check.says
    with other.publish(OTHER):
        pass


def test_a_writer_that_waits_gets_its_turn(
    store: EmbeddedStore, folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    first = store.publish(MAIN)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(opened(folder).publish, OTHER, wait_s=60.0)
        first.__exit__(None, None, None)
        with second.result(timeout=60):
            assert store.sources()[1].building


def test_a_child_process_does_not_keep_the_lock_of_its_parent(store: EmbeddedStore, folder: Path) -> None:
    said = run(
        """
        import os, sys
        from builders import *
        from codequarry.store.embedded import EmbeddedStore
        store = EmbeddedStore(sys.argv[1])
        publication = store.publish(Source("github.com/acme/api", "main"))
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent is gone
            with EmbeddedStore(sys.argv[1]).publish(Source("github.com/acme/web", "main"), wait_s=5):
                print("got it", flush=True)
            os._exit(0)
        os.close(reading)
        os._exit(0)
        """,
        folder,
    )
    assert said == "got it\n"


def test_a_forked_process_reads_with_connections_of_its_own(store: EmbeddedStore, folder: Path) -> None:
    said = run(
        """
        import os, sys
        from builders import *
        from codequarry.store.embedded import EmbeddedStore
        from codequarry.types import Request
        store = EmbeddedStore(sys.argv[1])
        store.prepare(EMBEDDER, RECIPE)
        source = Source("github.com/acme/api", "main")
        publish(store, source, {"a.py": "lock = 1\\n"})
        print(len(store.retrieve(Request(terms=("lock",))).candidates), flush=True)
        child = os.fork()
        if not child:
            print(len(store.retrieve(Request(terms=("lock",))).candidates), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        publish(store, source, {"a.py": "lock = 1\\n", "b.py": "lock = 2\\n"})
        print(len(store.retrieve(Request(terms=("lock",))).candidates), flush=True)
        """,
        folder,
    )
    assert said == "1\n1\n2\n"


# -------------------------------------------------------------------------------------------------------------- many writes


def test_rows_and_segments_of_many_publications_do_not_pile_up(
    store: EmbeddedStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GRACE_S", 0.0)
    for number in range(40):
        publish(store, MAIN, {"a.py": f"lock = {number}\nmore\n", "b.py": "lock = open\n"})
    assert (folder / "vectors.i8").stat().st_size <= 8 * EMBEDDER.dim
    (words,) = [one.says for one in store.check() if one.part == "words"]
    assert int(words.split()[3]) <= writer.MOST_SEGMENTS + 8
    store.compact()
    (words,) = [one.says for one in store.check() if one.part == "words"]
    assert words.startswith("2 chunks")
    dots = {one.path: one.cosine for one in store.retrieve(Request(vector=EMBEDDER.embed_question("open"))).candidates}
    expected = version("b.py", "lock = open\n").chunks[0].vector
    assert dots["b.py"] == pytest.approx(dot(EMBEDDER.embed_question("open"), expected) / 127**2)


def test_threads_search_while_one_publishes(store: EmbeddedStore) -> None:
    publish(store, MAIN, FILES)
    with ThreadPoolExecutor(4) as pool:
        request = Request(terms=("lock",), vector=EMBEDDER.embed_question("lock"))
        answers = [pool.submit(store.retrieve, request) for _ in range(60)]
        for number in range(5):
            publish(store, MAIN, {**FILES, "c.py": f"lock = {number}\n"})
        for answer in answers:
            assert {"a.py", "b.py"} <= {one.path for one in answer.result(timeout=60).candidates}


def test_above_the_limit_vectors_rank_only_what_the_words_found(
    store: EmbeddedStore, folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    publish(store, MAIN, {**FILES, "c.py": "other = 1\n"})
    publish(store, OTHER, {"d.py": "more = 1\n"})
    request = Request(terms=("unlock",), vector=EMBEDDER.embed_question("other"))
    large = opened(folder, scan_rows=0).retrieve(request)
    assert [(one.path, one.cosine is not None) for one in large.candidates] == [("b.py", True)]
    assert large.notes
    assert len(store.retrieve(request).candidates) == 4


def test_a_folder_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(StoreError, match="no index can be made") as raised:
            EmbeddedStore(place, create=True).prepare(EMBEDDER, RECIPE)
        assert "--store" in raised.value.hint


def test_searching_imports_nothing_that_is_slow_to_start(store: EmbeddedStore, folder: Path) -> None:
    publish(store, MAIN, FILES)
    said = run(
        """
        import sys
        from codequarry.store import open_store
        from codequarry.types import *
        store = open_store(sys.argv[1])
        scope = Scope(patterns=(Pattern("lock"),), languages=("python",), paths=("*.py",))
        for request in (Request(scope), Request(terms=("lock",), vector=bytes(range(64)))):
            assert store.texts(store.retrieve(request).candidates)
        slow = "numpy pydantic rich typer click asyncio logging elasticsearch Stemmer tree_sitter multiprocessing"
        print(*sorted(set(slow.split()) & set(sys.modules)), "done")
        """,
        folder,
    )
    assert said.split() == ["done"]
