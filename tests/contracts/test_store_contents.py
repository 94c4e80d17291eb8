"""What `codequarry.ports.Store` gives back of what it holds, for every store: texts, paths, cached vectors, dumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import builders
import pytest
from builders import blob_of, publish, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import FILES, FOLDER, MAIN, NEXT, OTHER, PARSER, candidates, found

from codequarry import text
from codequarry.errors import PathNotFound
from codequarry.ports import Store
from codequarry.types import DumpRow, Pattern, Scope, Skipped, Source

# --------------------------------------------------------------------------------------------------------- texts, paths


def test_the_text_of_a_candidate_is_exactly_its_lines(store: Store) -> None:
    publish(store, MAIN, {**FILES, "crlf.txt": "one\r\ntwo words\r\n\r\n\r\nfive\r\nsix\r\n"})
    result = candidates(store, patterns=(Pattern(""),))
    assert len(result) > 5
    for one, piece in zip(result, store.texts(result), strict=True):
        lines = store.read_file(MAIN, one.path).text.split("\n")
        assert piece == "\n".join(lines[one.start_line - 1 : one.end_line])
    assert store.texts([]) == []
    assert store.texts(result[::-1]) == store.texts(result)[::-1]


@pytest.mark.parametrize(
    "content",
    ["", "\n", "no end", "a\r\nb\r\n", "\n\n\n\n\n\nx\n\n\n\n\n\n", "ünï\u2028code\x0b\x0c\x1c\n", "x\n" * 5_000],
    ids=["empty", "one line end", "no line end", "crlf", "gaps", "odd signs", "long"],
)
def test_a_file_is_read_exactly_as_it_was_put(store: Store, content: str) -> None:
    publish(store, MAIN, {"a/file.txt": content}, commit="5" * 40)
    read = store.read_file(MAIN, "a/file.txt")
    assert (read.source, read.commit, read.path, read.blob) == (MAIN, "5" * 40, "a/file.txt", blob_of(content))
    assert read.text == content
    assert not read.modified


def test_a_long_file_of_long_chunks_is_read_piece_by_piece(store: Store) -> None:
    content = "".join(f"line{number} {'word ' * 2_000}\n" for number in range(40))
    publish(store, MAIN, {"big.txt": content, "after.txt": "after\n"})
    assert store.read_file(MAIN, "big.txt").text == content
    (one,) = candidates(store, patterns=(Pattern(r"^line22 word"),))
    assert store.texts([one]) == ["\n".join(content.split("\n")[one.start_line - 1 : one.end_line])]


def test_chunks_of_a_file_are_in_order_of_lines(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, FOLDER, FILES, modified=["src/parser.py"])
    result = store.chunks_of(FOLDER, "src/parser.py")
    assert [(one.start_line, one.end_line) for one in result] == [(1, 4), (5, 8)]
    assert [one.cosine for one in result] == [None, None]
    assert [[(place.source, place.modified) for place in one.places] for one in result] == [[(FOLDER, True)]] * 2
    assert store.texts(result)[1] == "\n".join(PARSER.split("\n")[4:8])
    assert store.chunks_of(MAIN, "src/parser.py")[0].chunk_id == result[0].chunk_id


def test_a_path_that_the_source_does_not_show_is_not_found(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, NEXT, {"next.py": "x = 1\n"})
    for source, path in [(MAIN, "next.py"), (MAIN, "nope"), (OTHER, "README.md"), (MAIN, "")]:
        with pytest.raises(PathNotFound):
            store.read_file(source, path)
        with pytest.raises(PathNotFound):
            store.chunks_of(source, path)


def test_paths_are_sorted_and_may_be_any_bytes(store: Store) -> None:
    odd = [
        b"caf\xe9.py".decode("utf-8", "surrogateescape"),
        "line\nend.py",
        "tab\tand space.py",
        "日本.py",
        "a'b\"c.py",
    ]
    files = {path: f"unusual = {number}\n" for number, path in enumerate(odd)}
    publish(store, MAIN, files, skipped=[Skipped(odd[0] + ".bin", "binary", odd[0])])
    assert store.paths(MAIN) == sorted(odd)
    assert sorted(one.path for one in candidates(store, terms="unusual", near="unusual")) == sorted(odd)
    assert sorted(one.path for one in candidates(store, patterns=(Pattern("unusual"),), paths=("*.py",))) == sorted(odd)
    for path, content in files.items():
        assert store.read_file(MAIN, path).text == content
        assert len(store.chunks_of(MAIN, path)) == 1
    assert store.skipped(MAIN) == [Skipped(odd[0] + ".bin", "binary", odd[0])]
    assert {row.path for row in store.dump()} == set(odd)
    publish(store, MAIN, {odd[1]: files[odd[1]]})
    assert store.paths(MAIN) == [odd[1]]


def test_sources_may_have_odd_names(store: Store) -> None:
    odd = Source("local/srv/caf\udce9 au lait", "worktree:/srv/caf\udce9 au lait")
    publish(store, odd, FILES)
    assert [one.source for one in store.sources()] == [odd]
    assert [place.source for one in candidates(store, terms="JsonError", sources=(odd,)) for place in one.places] == [
        odd
    ]
    store.forget(odd)
    assert store.sources() == []


def test_terms_that_no_chunk_has_are_unknown(store: Store) -> None:
    publish(store, MAIN, FILES)
    known = text.terms("JsonError socket").split()
    assert store.unknown_terms((*known, "zebra", "quagga", "zebra"), Scope()) == ["zebra", "quagga"]
    assert store.unknown_terms((), Scope()) == []


# ----------------------------------------------------------------------------------------------------- cache of vectors


def test_cached_vectors_come_back_under_their_model_and_key(store: Store, store_factory: Callable[[], Store]) -> None:
    one, two = bytes(range(64)), bytes(reversed(range(64)))
    key, other = text.content_hash(b"one"), text.content_hash(b"two")
    assert store.vectors("model", [key]) == {}
    store.keep_vectors("model", {key: one, other: two})
    store.keep_vectors("model", {})
    assert store.vectors("model", [key, other, text.content_hash(b"none")]) == {key: one, other: two}
    assert store.vectors("model", [other]) == {other: two}
    assert store.vectors("another", [key]) == {}
    assert store_factory().vectors("model", [key]) == {key: one}


def test_vectors_can_be_kept_while_a_publication_runs(store: Store) -> None:
    key = text.content_hash(b"one")
    with store.publish(MAIN) as publication:
        publication.put(builders.versions(FILES))
        store.keep_vectors("model", {key: bytes(64)})
        assert store.vectors("model", [key]) == {key: bytes(64)}


# ----------------------------------------------------------------------------------------------------------------- dump


def test_the_dump_has_every_visible_chunk_sorted(store: Store) -> None:
    publish(store, OTHER, FILES)
    publish(store, MAIN, FILES)
    publish(store, FOLDER, FILES, modified=["README.md"])
    rows = list(store.dump())
    assert rows == sorted(rows)
    assert len(rows) == 3 * sum(len(file.chunks) for file in builders.versions(FILES))
    assert {row.path for row in rows if row.modified} == {"README.md"}
    assert {(row.repo, row.branch) for row in rows} == {tuple(MAIN), tuple(FOLDER), tuple(OTHER)}
    assert list(store.dump(MAIN)) == [row for row in rows if (row.repo, row.branch) == tuple(MAIN)]
    assert list(store.dump(NEXT)) == []
    file = version("src/parser.py", PARSER)
    one = next(row for row in store.dump(MAIN) if row.path == file.path and row.start_line == 5)
    chunk = file.chunks[1]
    assert (one.blob, one.end_line, one.kind) == (file.blob, 8, "code")
    assert (one.text_hash, one.symbols) == (chunk.content_hash, chunk.symbols)
    assert one.vector_hash == text.content_hash(chunk.vector)


HISTORIES = st.lists(
    st.tuples(
        st.sampled_from([MAIN, NEXT, OTHER]),
        st.dictionaries(
            st.sampled_from(["a.py", "b.py", "c/d.py"]), st.sampled_from(["one = 1\n", "two = 2\n\n\n\n\nlock\n", ""])
        ),
        st.sampled_from(["commit", "leave", "compact", "forget"]),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES)
def test_equal_contents_have_equal_dumps_whatever_came_before(
    store: Store, history: Sequence[tuple[Source, dict[str, str], str]]
) -> None:
    for one in store.sources():
        store.forget(one.source)
    shown: dict[Source, dict[str, str]] = {}
    for source, files, end in history:
        if end == "forget":
            store.forget(source)
            shown.pop(source, None)
        elif end == "leave":
            with store.publish(source) as publication:
                publication.put(builders.versions(files))
        else:
            publish(store, source, files)
            shown[source] = files
            if end == "compact":
                store.compact()
    after = list(store.dump())
    answers = [found(store, terms=terms, near=terms) for terms in ("one", "two lock")]
    matches = found(store, patterns=(Pattern("^(one|lock)"),))
    assert after == sorted(
        _row(source, path, content, number)
        for source, files in shown.items()
        for path, content in files.items()
        for number in range(len(version(path, content).chunks))
    )
    for one in store.sources():
        store.forget(one.source)
    for source, files in sorted(shown.items()):
        publish(store, source, files)
    assert list(store.dump()) == after
    assert [sorted(found(store, terms=terms, near=terms)) for terms in ("one", "two lock")] == list(
        map(sorted, answers)
    )
    assert found(store, patterns=(Pattern("^(one|lock)"),)) == matches


def _row(source: Source, path: str, content: str, number: int) -> DumpRow:
    from codequarry.store.schema import terms_hash

    file = version(path, content)
    chunk = file.chunks[number]
    return DumpRow(
        source.repo,
        source.branch,
        path,
        file.blob,
        False,
        chunk.start_line,
        chunk.end_line,
        chunk.kind,
        chunk.content_hash,
        terms_hash(chunk, file.path_terms),
        text.content_hash(chunk.vector),
        chunk.symbols,
    )


def test_check_finds_a_sound_store_sound(store: Store) -> None:
    publish(store, MAIN, FILES)
    checks = store.check()
    assert checks
    assert [one for one in checks if not one.ok] == []
    assert all(one.part and one.says for one in checks)
