"""The embedded store by itself: its lock, its files when they are damaged or full, kills at every point, what it imports."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import builders
import pytest
import re2
from builders import EMBEDDER, RECIPE, blob_of, publish, state, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry import text
from codequarry.errors import IndexMissing, ModelMismatch, SchemaMismatch, StoreError, WriterBusy
from codequarry.store.embedded import EmbeddedStore, facts, identifiers, ledger, vectors, writer
from codequarry.store.prefilter import requirement
from codequarry.store.schema import terms_hash
from codequarry.types import Pattern, Request, Scope, Shown, Source, Symbol

MAIN = Source("github.com/acme/api", "main")
OTHER = Source("github.com/acme/web", "main")
FILES = {"a.py": "def lock():\n    return 1\n", "b.py": "unlock = lock()\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def opened() -> Iterator[Callable[..., EmbeddedStore]]:
    """Opens stores that are closed at the end."""
    with ExitStack() as stack:
        yield lambda *args, **given: stack.enter_context(closing(EmbeddedStore(*args, **given)))


@pytest.fixture
def store(folder: Path, opened: Callable[..., EmbeddedStore]) -> EmbeddedStore:
    made = opened(folder, create=True)
    made.prepare(EMBEDDER, RECIPE)
    return made


def names(store: EmbeddedStore, *terms: str, **scope: Any) -> set[str]:
    return {one.path for one in store.retrieve(Request(Scope(**scope), terms)).candidates}


def run(code: str, *args: object) -> str:
    """What another Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(builders.__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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


# ------------------------------------------------------------------------------------------------------------ full, damaged


@pytest.mark.parametrize("name", ["vectors.i8", "identifiers"])
def test_a_full_disk_is_said_and_the_same_can_be_put_when_there_is_room(
    store: EmbeddedStore, folder: Path, name: str
) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    store.close()
    file, new = folder / name, version("new.py", "brandnew = 1\n")
    file.rename(folder / "aside")
    file.symlink_to("/dev/full")
    with store.publish(MAIN) as publication:
        with pytest.raises(StoreError) as raised:
            publication.put([new])
        assert "full" in raised.value.message
        assert raised.value.retryable
        assert publication.have([new.key]) == set()
        file.unlink()
        (folder / "aside").rename(file)
        publication.put([new])
        assert publication.have([new.key]) == {new.key}
    assert list(store.dump()) == before
    with store.publish(MAIN) as publication:
        publication.commit(state(MAIN), show=[Shown(new.path, new.blob)])
    assert names(store, "brandnew") == {"new.py"}
    assert [one for one in store.check() if not one.ok] == []


def test_a_database_without_room_leaves_the_index_as_it_was(store: EmbeddedStore) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    chance = random.Random(3)
    big = version("big.txt", "\n".join(f"w{chance.getrandbits(64)}" for _ in range(20_000)))
    with store.publish(MAIN) as publication:
        connection = publication._writer.connection
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages + 5}")
        with pytest.raises(StoreError, match="full"):
            publication.put([big])
        assert publication.have([big.key]) == set()
    assert list(store.dump()) == before
    assert [one.part for one in store.check() if not one.ok] == [str(MAIN)]
    publish(store, MAIN, {**FILES, "big.txt": big.text.decode()})
    assert store.read_file(MAIN, "big.txt").text == big.text.decode()


def test_a_damaged_database_is_said_with_what_to_do(
    store: EmbeddedStore, folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    publish(store, MAIN, FILES)
    store.close()
    data = (folder / "quarry.db").read_bytes()
    (folder / "quarry.db").write_bytes(b"not a database at all" * 500)
    for leftover in ("quarry.db-wal", "quarry.db-shm"):
        (folder / leftover).unlink(missing_ok=True)
    with pytest.raises(StoreError) as raised:
        EmbeddedStore(folder)
    assert "codequarry doctor" in raised.value.hint
    # Half of the file is lost: whichever half it is, someone says so.
    (folder / "quarry.db").write_bytes(data[: len(data) // 2].ljust(len(data), b"\xff"))
    try:
        said = [check.hint for check in opened(folder).check() if not check.ok]
    except StoreError as error:
        said = [error.hint]
    assert said
    assert all(said)


@pytest.mark.parametrize(("name", "opened"), [("quarry.db", EmbeddedStore), (ledger.FILE, ledger.SqliteRows)])
def test_a_file_that_is_no_database_is_not_kept_open(
    tmp_path: Path, name: str, opened: Callable[[Path], object]
) -> None:
    (tmp_path / name).write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError) as raised:
        opened(tmp_path)
    held = [os.readlink(handle) for handle in Path("/proc/self/fd").iterdir() if handle.is_symlink()]
    assert raised.value.hint
    assert str(tmp_path / name) not in held


def test_missing_words_are_said_with_what_to_do(
    store: EmbeddedStore, folder: Path, opened: Callable[..., EmbeddedStore]
) -> None:
    publish(store, MAIN, FILES)
    store.close()
    shutil.rmtree(folder / "words")
    broken = opened(folder)
    with pytest.raises(StoreError) as raised:
        broken.retrieve(Request(terms=("lock",)))
    assert raised.value.hint
    assert any(not one.ok for one in broken.check())
    assert broken.read_file(MAIN, "a.py").text == FILES["a.py"]


def test_missing_vectors_are_found_by_the_check(store: EmbeddedStore, folder: Path) -> None:
    publish(store, MAIN, FILES)
    os.truncate(folder / "vectors.i8", EMBEDDER.dim)
    assert [one.part for one in store.check() if not one.ok] == ["vectors"]


# ------------------------------------------------------------------------------------------------------------------- kills

KILLED = """
import os, shutil, sys
from itertools import count
from pathlib import Path
from builders import *
from codequarry.store.embedded import EmbeddedStore, writer
from codequarry.types import Pattern, Request, Scope
writer.GRACE_S = 0.0  # what the publication before made dead is removed in this one
base, work = Path(sys.argv[1]), Path(sys.argv[2])
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
    shutil.rmtree(work, ignore_errors=True)
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
    if not killed:
        break
print(number, file=sys.stderr)
print(number > 20, *sorted(states))
"""


def test_a_kill_at_any_point_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """The writing process kills itself before each call in turn that writes anything anywhere."""
    assert run(KILLED, tmp_path / "base", tmp_path / "work") == "True new old\n"


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
    assert dots["b.py"] == pytest.approx(_dot(EMBEDDER.embed_question("open"), expected) / 127**2)


def _dot(one: bytes, two: bytes) -> int:
    return sum(a * b for a, b in zip(memoryview(one).cast("b"), memoryview(two).cast("b"), strict=True))


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


# ------------------------------------------------------------------------------------------------------------------- parts

UNIT = st.integers(0, 2**32).map(lambda seed: EMBEDDER.embed_question(f"w{seed % 40} w{seed % 7}"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_best_rows_are_those_of_a_full_sort(tmp_path: Path, data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    rows, dim = chance.choice([0, 1, 50, 2_500, 9_000]), 64
    pool = [EMBEDDER.embed_question(f"w{chance.random()}") for _ in range(chance.choice([1, 40]))]
    if data.draw(st.booleans()):
        pool.append(bytes([127]) * dim)  # longer than any vector of a model
    path = str(tmp_path / "v")
    Path(path).unlink(missing_ok=True)
    vectors.write(path, dim, [(0, b"".join(chance.choice(pool) for _ in range(rows)))])
    file = vectors.Vectors(path, dim)
    question, count = chance.choice(pool), chance.choice([1, 7, 100, 600])
    starts = sorted(chance.sample(range(rows + 1), min(rows, 6)))
    runs = chance.choice([None, [(one, two - one) for one, two in pairwise(starts)][::2]])
    wanted = range(rows) if runs is None else [row for first, size in runs for row in range(first, first + size)]
    scores = sorted((-_dot(question, file.row(row)), row) for row in wanted)
    last = scores[min(count, len(scores)) - 1][0] if scores else 0
    assert file.best(question, count, runs) == [(-score, row) for score, row in scores if score <= last]
    some = [row for row in (0, 3, rows + 5) if rows]
    assert file.dots(question, some) == [_dot(question, file.row(row)) if row < rows else 0.0 for row in some]


@pytest.mark.parametrize("packed_from", [0, 1 << 30])
def test_facts_and_text_of_a_file_come_back_as_they_were(packed_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_PACKED_FROM", packed_from)
    content = "".join(f"def f{number}():\n    return '{'x' * 3_000}'\n\n\n" for number in range(60))
    file = version("caf\udce9/a.py", content)
    file.chunks[3].breadcrumb = "elsewhere › f"
    file.chunks[4].symbols = (Symbol("operator new", "function", 17), Symbol("naïve", "variable", 18))
    packed, frames = facts.pack(file)
    assert packed.startswith(facts._PACKED) == (packed_from == 0)
    read = facts.Facts(file.path, packed)
    assert read.chunks == len(file.chunks)
    for number, chunk in enumerate(file.chunks):
        one = read[number]
        assert (one.start_line, one.end_line, one.start_byte, one.end_byte) == (
            chunk.start_line,
            chunk.end_line,
            chunk.start_byte,
            chunk.end_byte,
        )
        assert (one.kind, one.breadcrumb, one.symbols) == (chunk.kind, chunk.breadcrumb, chunk.symbols)
        assert (one.text_hash, one.terms_hash) == (chunk.content_hash, terms_hash(chunk, file.path_terms))
        assert read.span(number) == (chunk.start_byte, chunk.end_byte)
    texts = [facts.unpack(frame) for frame in frames]
    assert b"".join(texts) == file.text
    assert len(texts) > 2
    assert all(len(one) <= facts.FRAME_BYTES for one in texts)
    borders = read.frames()
    assert [len(one) for one in texts] == [end - start for start, end in pairwise(borders)]
    assert {*borders[1:-1]} <= {chunk.start_byte for chunk in file.chunks}


WORDS = [
    "lock",
    "unlock",
    "LOCK",
    "lock2",
    "caf\u00e9lock",
    "locksmith",
    "block",
    "x1f",
    "deadbeef",
    "lo",
    "ck",
    "\u212aey",
]


@pytest.mark.parametrize(
    "regex",
    ["lock", r"\(lock", r"lock\(", r"\(lock\(", r"(?i)lock", r"\block\b", "[0-9a-f]{8}", r"\bx\d", "(?i)key", "l.ck"],
)
def test_the_identifiers_that_match_a_piece_are_all_that_do(tmp_path: Path, regex: str) -> None:
    path = str(tmp_path / "identifiers")
    identifiers.append(path, WORDS[:5])
    identifiers.append(path, [*WORDS[3:], "y" * 500])
    file = identifiers.Identifiers(path)
    need = requirement(regex)
    pieces = [piece for part in getattr(need, "parts", [need]) for piece in part.pieces]
    for piece in pieces:
        expected = {word for word in WORDS if re2.fullmatch(piece.regex, word)}
        found = set(file.matching(piece, 1_000) or ())
        assert found - {text.LONG} == expected
        assert piece.exact or text.LONG in found
    assert file.matching(pieces[0], 0) is None or pieces[0].exact


def test_words_that_are_too_long_to_be_indexed_are_found_by_pattern_all_the_same(store: EmbeddedStore) -> None:
    long = "k" * 50 + "needle" + "z" * 100_000
    publish(store, MAIN, {"a.txt": f"before {long} after\n", "b.txt": "needle\n", "c.txt": "nothing\n"})
    for regex, expected in [
        ("needle", {"a.txt", "b.txt"}),
        ("before k+needle", {"a.txt"}),
        (r"zz after", {"a.txt"}),
        (re2.escape(long), {"a.txt"}),
    ]:
        assert {one.path for one in store.retrieve(Request(Scope(patterns=(Pattern(regex),)))).candidates} == expected
    assert blob_of("needle\n") in {one.blob for one in store.retrieve(Request(terms=("needl",))).candidates}


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
