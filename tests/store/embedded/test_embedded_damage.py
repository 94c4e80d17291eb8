"""The embedded store when its files are full, damaged or gone: what it says, and what is left."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import EMBEDDER, publish, state, version
from indexed import FILES, MAIN, names

from codequarry.errors import StoreError
from codequarry.store.embedded import EmbeddedStore, ledger
from codequarry.types import Request, Shown


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
