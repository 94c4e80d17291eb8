"""What `codequarry.ports.Store` promises, for every store: each test is a sentence of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import builders
import pytest
import re2
from builders import EMBEDDER, RECIPE, blob_of, publish, state, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry import text
from codequarry.errors import ModelMismatch, PathNotFound, StoreError, WriterBusy
from codequarry.models import open_embedder
from codequarry.ports import Store
from codequarry.types import (
    Candidate,
    DumpRow,
    FileKey,
    Pattern,
    Request,
    Scope,
    Shown,
    Skipped,
    Source,
    SourceState,
)

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")
OTHER = Source("github.com/acme/web", "main")
FOLDER = Source("github.com/acme/api", "worktree:/home/ada/api")

PARSER = """def parse_json(data):
    # reads a document
    return decode(data)


class JsonError(Exception):
    # raised by the parser
    code = 7
"""
SERVER = """package server

func openSocket(port int) error {
	return listen(port)
}

func closeSocket() {
	shutdown()
}
"""
FILES = {"src/parser.py": PARSER, "server/socket.go": SERVER, "README.md": "# Manual\nHow to parse and to listen.\n"}


@pytest.fixture
def store(store_factory: Callable[[], Store]) -> Store:
    """A prepared store."""
    made = store_factory()
    made.prepare(EMBEDDER, RECIPE)
    return made


def found(store: Store, **fields: object) -> list[tuple[str, int]]:
    """Path and first line of what a request finds."""
    return [(one.path, one.start_line) for one in candidates(store, **fields)]


def candidates(store: Store, **fields: object) -> list[Candidate]:
    """What a request finds; `terms` and `near` may be plain words (of which whole forms count), scope fields go there."""
    scope = {name: fields.pop(name) for name in list(fields) if name in Scope.__dataclass_fields__}
    if isinstance(terms := fields.get("terms"), str):
        fields["terms"] = tuple(text.terms(word).split()[0] for word in terms.split())
    if isinstance(near := fields.pop("near", None), str):
        fields["vector"] = EMBEDDER.embed_question(near)
    return store.retrieve(Request(scope=Scope(**scope), **fields)).candidates  # type: ignore[arg-type]


def every(store: Store, **scope: object) -> set[str]:
    """The paths of all chunks in a scope: by words, by vectors and by pattern they must be the same."""
    by_pattern = {one.path for one in candidates(store, patterns=(Pattern(""),), **scope)}
    by_vector = {one.path for one in candidates(store, near="parse json listen port manual", **scope)}
    by_words = {one.path for one in candidates(store, terms="everywhere", **scope)}
    assert by_pattern == by_vector == by_words
    return by_pattern


def with_everywhere(files: Mapping[str, str]) -> dict[str, str]:
    """The files with a word that all chunks have."""
    return {path: re.sub(r"(?m)$", " everywhere", content.rstrip("\n")) + "\n" for path, content in files.items()}


# ------------------------------------------------------------------------------------------------------------------- index


def test_a_store_in_which_nothing_was_made_has_no_model_and_no_sources(store_factory: Callable[[], Store]) -> None:
    empty = store_factory()
    assert empty.model() is None
    assert empty.sources() == []


def test_the_model_is_the_one_that_the_index_was_prepared_for(store: Store) -> None:
    assert store.model() == (EMBEDDER.name, EMBEDDER.fingerprint, EMBEDDER.dim)


def test_preparing_again_changes_nothing(store: Store, store_factory: Callable[[], Store]) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    again = store_factory()
    again.prepare(EMBEDDER, RECIPE)
    assert list(again.dump()) == before


def test_another_model_is_refused_and_the_message_names_both(store: Store) -> None:
    other = open_embedder("hash:32")
    with pytest.raises(ModelMismatch) as raised:
        store.prepare(other, RECIPE)
    assert "hash:64" in raised.value.message
    assert "hash:32" in raised.value.message
    assert raised.value.hint
    assert store.model() == (EMBEDDER.name, EMBEDDER.fingerprint, EMBEDDER.dim)


def test_closing_twice_is_allowed(store: Store) -> None:
    store.close()
    store.close()


def test_what_was_published_is_there_when_the_store_is_opened_again(
    store: Store, store_factory: Callable[[], Store]
) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    store.close()
    assert list(store_factory().dump()) == before


# -------------------------------------------------------------------------------------------------------------- publication


def test_what_is_put_is_not_shown_before_it_is_committed(store: Store) -> None:
    with store.publish(MAIN) as publication:
        publication.put(builders.versions(FILES))
        assert publication.shown() == {}
        assert list(store.dump()) == []
        assert found(store, terms="parse", near="parse json") == []
        assert found(store, patterns=(Pattern("parse"),)) == []
        assert store.paths(MAIN) == []
        publication.commit(state(MAIN), show=[Shown(path, blob_of(content)) for path, content in FILES.items()])
        assert store.paths(MAIN) == sorted(FILES)
        assert set(publication.shown()) == set(FILES)


def test_commit_counts_what_is_shown_and_keeps_the_rest_of_the_state(store: Store) -> None:
    given_state = SourceState(
        MAIN, "a" * 40, "main", "/srv/api", "https://github.com/acme/api", False, ("staff", "ops"), recipe="r1"
    )
    with store.publish(MAIN) as publication:
        publication.put(builders.versions(FILES))
        stored = publication.commit(
            replace(given_state, files=99, chunks=99, size_bytes=99, skipped=99, building=True),
            show=[Shown(path, blob_of(content)) for path, content in FILES.items()],
            skipped=[Skipped("b.bin", "binary"), Skipped("a.png", "binary")],
        )
    assert stored == replace(
        given_state,
        files=3,
        chunks=sum(len(file.chunks) for file in builders.versions(FILES)),
        size_bytes=sum(len(content.encode()) for content in FILES.values()),
        skipped=2,
        indexed_at=stored.indexed_at,
    )
    assert stored.indexed_at > 1e9
    assert store.sources() == [stored]


def test_the_counts_follow_every_change(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, MAIN, {"src/parser.py": PARSER + "\nmore = 1\n", "new.py": "x = 1\n"})
    after = publish(store, MAIN, {"new.py": "x = 1\n", "empty.py": ""})
    assert (after.files, after.chunks, after.size_bytes) == (2, 1, 6)


def test_leaving_without_commit_changes_nothing_that_is_shown(store: Store) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    with store.publish(MAIN) as publication:
        publication.put(builders.versions({"src/parser.py": "other = 1\n"}))
    with pytest.raises(ZeroDivisionError), store.publish(MAIN) as publication:
        publication.put(builders.versions({"src/new.py": "other = 1\n"}))
        raise ZeroDivisionError
    assert list(store.dump()) == before
    assert found(store, terms="other") == []


def test_a_source_is_building_from_the_beginning_of_a_publication_to_its_commit(store: Store) -> None:
    with store.publish(MAIN):
        (begun,) = store.sources()
        assert (begun.source, begun.building, begun.indexed_at) == (MAIN, True, 0.0)
    (left,) = store.sources()
    assert left.building
    publish(store, MAIN, FILES)
    (done,) = store.sources()
    assert not done.building
    with store.publish(MAIN):
        (again,) = store.sources()
        assert again.building
        assert replace(again, building=False) == done


def test_what_was_put_by_a_publication_that_was_left_need_not_be_put_again(
    store: Store, store_factory: Callable[[], Store]
) -> None:
    files = builders.versions(FILES)
    with store.publish(MAIN) as publication:
        publication.put(files)
    store.close()
    again = store_factory()
    again.prepare(EMBEDDER, RECIPE)
    with again.publish(MAIN) as publication:
        assert publication.have(file.key for file in files) == {file.key for file in files}
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in files])
    assert again.paths(MAIN) == sorted(FILES)
    assert found(again, terms="JsonError") == [("src/parser.py", 5)]
    assert found(again, patterns=(Pattern(r"listen\(port"),)) == [("server/socket.go", 1)]


def test_have_knows_only_what_was_put_for_the_repository(store: Store) -> None:
    publish(store, MAIN, FILES)
    key = FileKey("src/parser.py", blob_of(PARSER))
    with store.publish(NEXT) as publication:
        wanted = [key, FileKey("src/parser.py", "0" * 40), FileKey("other.py", key.blob)]
        assert publication.have(wanted) == {key}
        assert publication.have([]) == set()
    with store.publish(OTHER) as publication:
        assert publication.have([key]) == set()


def test_putting_a_version_twice_changes_nothing(store: Store) -> None:
    files = builders.versions(FILES)
    with store.publish(MAIN) as publication:
        publication.put([*files, files[0]])
        publication.put(files)
        publication.put([])
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in files])
    assert len(list(store.dump())) == sum(len(file.chunks) for file in files)
    assert len(found(store, terms="parse")) == len(set(found(store, terms="parse")))


def test_showing_a_version_that_was_never_put_is_refused_and_changes_nothing(store: Store) -> None:
    publish(store, MAIN, FILES)
    before = list(store.dump())
    with store.publish(MAIN) as publication, pytest.raises(StoreError):
        publication.commit(state(MAIN), show=[Shown("src/parser.py", "0" * 40)], hide=["README.md"])
    assert list(store.dump()) == before


def test_commit_shows_new_versions_and_hides_paths_and_leaves_the_rest(store: Store) -> None:
    publish(store, MAIN, FILES)
    changed = version("src/parser.py", "def parse_toml():\n    pass\n")
    with store.publish(MAIN) as publication:
        publication.put([changed])
        publication.commit(state(MAIN), show=[Shown(changed.path, changed.blob)], hide=["README.md", "never.there"])
    assert store.paths(MAIN) == ["server/socket.go", "src/parser.py"]
    assert store.read_file(MAIN, "src/parser.py").text == "def parse_toml():\n    pass\n"
    assert found(store, terms="JsonError") == []
    assert found(store, terms="manual") == []
    assert found(store, terms="toml") == [("src/parser.py", 1)]


def test_a_version_may_come_back(store: Store) -> None:
    first = publish(store, MAIN, FILES)
    before = list(store.dump())
    for _ in range(2):
        publish(store, MAIN, {"src/parser.py": "nothing = 1\n"})
        assert found(store, terms="JsonError") == []
        publish(store, MAIN, FILES)
        assert list(store.dump()) == before
        assert found(store, terms="JsonError") == [("src/parser.py", 5)]
    (last,) = store.sources()
    assert replace(last, indexed_at=first.indexed_at) == first


def test_a_version_that_no_source_shows_is_removed_in_the_end(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, MAIN, {"new.py": "x = 1\n"})
    store.compact()
    with store.publish(MAIN) as publication:
        assert publication.have([FileKey("src/parser.py", blob_of(PARSER))]) == set()
        assert publication.have([FileKey("new.py", blob_of("x = 1\n"))]) == {FileKey("new.py", blob_of("x = 1\n"))}
    assert store.unknown_terms(("jsonerror",), Scope()) == ["jsonerror"]


def test_compacting_changes_nothing_that_is_shown(store: Store) -> None:
    for number in range(5):
        publish(store, MAIN, {**FILES, f"n{number}.py": f"number = {number}\n"})
    before = list(store.dump())
    answer = found(store, terms="parse listen", near="open socket")
    pattern = found(store, patterns=(Pattern(r"\bdecode\("),))
    store.compact()
    assert list(store.dump()) == before
    assert found(store, terms="parse listen", near="open socket") == answer
    assert found(store, patterns=(Pattern(r"\bdecode\("),)) == pattern == [("src/parser.py", 1)]


def test_a_later_publication_of_a_source_excludes_the_earlier_one(
    store: Store, store_factory: Callable[[], Store]
) -> None:
    """Either it cannot begin while the earlier one lasts, or the earlier one can do nothing from then on."""
    publish(store, MAIN, FILES)
    other = store_factory()
    file = version("late.py", "late = 1\n")
    with store.publish(MAIN) as earlier:
        try:
            later = other.publish(MAIN)
        except WriterBusy as busy:
            assert busy.hint
            return
        with later:
            with pytest.raises(WriterBusy):
                earlier.put([file])
                earlier.commit(state(MAIN), show=[Shown(file.path, file.blob)])
            later.put([version("new.py", "x = 1\n")])
            later.commit(state(MAIN), show=[Shown("new.py", blob_of("x = 1\n"))])
    assert "late.py" not in store.paths(MAIN)
    assert "new.py" in store.paths(MAIN)


def test_a_source_can_be_published_again_after_a_publication_was_left(store: Store) -> None:
    with store.publish(MAIN):
        pass
    with store.publish(MAIN, wait_s=1.0):
        pass
    publish(store, MAIN, FILES)
    assert store.paths(MAIN) == sorted(FILES)


def test_skipped_files_are_those_of_the_last_publication_sorted(store: Store) -> None:
    publish(store, MAIN, FILES, skipped=[Skipped("z.bin", "binary"), Skipped("a.min.js", "minified", "one line")])
    assert store.skipped(MAIN) == [Skipped("a.min.js", "minified", "one line"), Skipped("z.bin", "binary")]
    publish(store, MAIN, FILES, skipped=[Skipped("z.bin", "too-large", "9 MB")])
    assert store.skipped(MAIN) == [Skipped("z.bin", "too-large", "9 MB")]
    publish(store, MAIN, FILES)
    assert store.skipped(MAIN) == []
    assert store.skipped(OTHER) == []


def test_hints_are_what_commit_was_given_last(store: Store) -> None:
    assert store.hints(MAIN) == b""
    publish(store, MAIN, FILES, hints=b"\x00first")
    assert store.hints(MAIN) == b"\x00first"
    publish(store, MAIN, FILES)
    assert store.hints(MAIN) == b""
    assert store.hints(OTHER) == b""


# ----------------------------------------------------------------------------------------------- branches and repositories


def test_a_branch_shows_versions_that_another_put_and_is_apart_from_it(store: Store) -> None:
    publish(store, MAIN, FILES)
    with store.publish(NEXT) as publication:
        keys = [FileKey(path, blob_of(content)) for path, content in FILES.items()]
        assert publication.have(keys) == set(keys)
        publication.commit(state(NEXT), show=[Shown(*key) for key in keys])
    publish(store, NEXT, {**FILES, "src/parser.py": "only_next = 1\n"})
    assert store.read_file(MAIN, "src/parser.py").text == PARSER
    assert store.read_file(NEXT, "src/parser.py").text == "only_next = 1\n"
    assert found(store, terms="only_next", sources=(MAIN,)) == []
    assert found(store, terms="only_next", sources=(NEXT,)) == [("src/parser.py", 1)]
    assert found(store, terms="JsonError", sources=(NEXT,)) == []
    assert found(store, terms="JsonError", sources=(MAIN,)) == [("src/parser.py", 5)]


def test_what_one_branch_hides_another_goes_on_showing(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, NEXT, FILES)
    publish(store, MAIN, {})
    store.compact()
    assert store.paths(MAIN) == []
    assert store.paths(NEXT) == sorted(FILES)
    assert found(store, terms="JsonError", near="json") != []
    assert {place.source for one in candidates(store, terms="JsonError") for place in one.places} == {NEXT}


def test_places_are_the_sources_in_scope_that_show_the_version(store: Store) -> None:
    publish(store, MAIN, FILES, commit="1" * 40, head="main", web="https://github.com/acme/api")
    publish(store, FOLDER, FILES, modified=["src/parser.py"], commit="2" * 40, head="topic")
    publish(store, NEXT, {"README.md": FILES["README.md"]}, default=False)
    (one,) = candidates(store, terms="JsonError")
    assert [(place.source, place.commit, place.head, place.modified, place.web) for place in one.places] == [
        (MAIN, "1" * 40, "main", False, "https://github.com/acme/api"),
        (FOLDER, "2" * 40, "topic", True, ""),
    ]
    (one,) = candidates(store, terms="JsonError", sources=(FOLDER, NEXT))
    assert [place.source for place in one.places] == [FOLDER]
    (one,) = candidates(store, terms="manual")
    assert [place.source for place in one.places] == [MAIN, FOLDER]
    (one,) = candidates(store, terms="manual", sources=(NEXT,))
    assert [place.source for place in one.places] == [NEXT]


def test_without_named_sources_the_default_ones_are_searched(store: Store) -> None:
    publish(store, MAIN, {"a.py": "shared = 1\n"})
    publish(store, NEXT, {"b.py": "shared = 2\n"}, default=False)
    assert found(store, terms="shared", near="shared") == [("a.py", 1)]
    assert found(store, terms="shared", sources=(NEXT,)) == [("b.py", 1)]
    assert found(store, patterns=(Pattern("shared"),)) == [("a.py", 1)]
    publish(store, NEXT, {"b.py": "shared = 2\n"}, default=True)
    assert sorted(found(store, terms="shared")) == [("a.py", 1), ("b.py", 1)]


def test_equal_paths_and_texts_of_two_repositories_are_two_files(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, OTHER, FILES)
    assert {one.repo for one in candidates(store, terms="JsonError")} == {MAIN.repo, OTHER.repo}
    assert len({one.chunk_id for one in candidates(store, terms="JsonError")}) == 2
    publish(store, OTHER, {"src/parser.py": "gone = 1\n"})
    assert store.read_file(MAIN, "src/parser.py").text == PARSER
    assert store.read_file(OTHER, "src/parser.py").text == "gone = 1\n"
    assert [one.repo for one in candidates(store, terms="JsonError")] == [MAIN.repo]


def test_forgetting_a_source_removes_it_and_what_no_other_shows(store: Store) -> None:
    publish(store, MAIN, FILES)
    publish(store, NEXT, {"README.md": FILES["README.md"]})
    publish(store, OTHER, {"web.js": "web = 1\n"})
    store.forget(MAIN)
    assert [one.source for one in store.sources()] == [NEXT, OTHER]
    assert store.paths(MAIN) == []
    assert store.paths(NEXT) == ["README.md"]
    assert found(store, terms="JsonError parse", near="parse json", vectors=2) != [("src/parser.py", 5)]
    assert {one.path for one in candidates(store, terms="parse JsonError web")} == {"README.md", "web.js"}
    store.forget(MAIN)
    store.compact()
    with store.publish(MAIN) as publication:
        assert publication.have([FileKey("src/parser.py", blob_of(PARSER))]) == set()


def test_sources_are_sorted(store: Store) -> None:
    for source in (OTHER, NEXT, MAIN):
        publish(store, source, {"a.py": "x = 1\n"})
    assert [one.source for one in store.sources()] == [MAIN, NEXT, OTHER]


# ------------------------------------------------------------------------------------------------------------------- scope


@pytest.fixture
def scoped(store: Store) -> Store:
    """A store with three files, all chunks of which have one word in common."""
    publish(store, MAIN, with_everywhere(FILES))
    publish(store, OTHER, with_everywhere({"web/page.py": "def page():\n    return 1\n"}), access=("staff",))
    return store


PAGE = "web/page.py"
PARSER_PATH, SOCKET_PATH, README = "src/parser.py", "server/socket.go", "README.md"

SCOPES = [
    ({}, {PAGE, PARSER_PATH, SOCKET_PATH, README}),
    ({"sources": (MAIN,)}, {PARSER_PATH, SOCKET_PATH, README}),
    ({"sources": (OTHER,)}, {PAGE}),
    ({"sources": (MAIN, OTHER)}, {PAGE, PARSER_PATH, SOCKET_PATH, README}),
    ({"languages": ("python",)}, {PAGE, PARSER_PATH}),
    ({"languages": ("python", "go")}, {PAGE, PARSER_PATH, SOCKET_PATH}),
    ({"not_languages": ("python",)}, {SOCKET_PATH, README}),
    ({"paths": ("*.py",)}, {PAGE, PARSER_PATH}),
    ({"paths": ("src/**", "*.md")}, {PARSER_PATH, README}),
    ({"paths": ("server",)}, {SOCKET_PATH}),
    ({"not_paths": ("*.py", "README.md")}, {SOCKET_PATH}),
    ({"paths": ("*.py",), "not_paths": ("web/",)}, {PARSER_PATH}),
    ({"kinds": ("docs",)}, {README}),
    ({"kinds": ("class",)}, {PARSER_PATH}),
    ({"kinds": ("function", "docs")}, {PAGE, PARSER_PATH, SOCKET_PATH, README}),
    ({"not_kinds": ("code",)}, {README}),
    ({"not_kinds": ("function", "class")}, {SOCKET_PATH, README}),
    ({"symbols": ("openSocket",)}, {SOCKET_PATH}),
    ({"symbols": ("openSocket", "page")}, {SOCKET_PATH, PAGE}),
    ({"not_symbols": ("parse_json", "JsonError", "page")}, {SOCKET_PATH, README}),
    ({"not_terms": ("def", "class")}, {SOCKET_PATH, README}),
    ({"languages": ("python",), "sources": (MAIN,), "kinds": ("class",)}, {PARSER_PATH}),
    ({"access": ("staff",)}, {PAGE, PARSER_PATH, SOCKET_PATH, README}),
    ({"access": ("guests",)}, {PARSER_PATH, SOCKET_PATH, README}),
    ({"access": ("guests",), "sources": (OTHER,)}, set()),
    ({"access": ()}, set()),
    ({"sources": ()}, set()),
    ({"sources": (Source("github.com/acme/none", "main"),)}, set()),
    ({"languages": ("cobol",)}, set()),
    ({"paths": ("nowhere/**",)}, set()),
    ({"kinds": ("enum",)}, set()),
    ({"symbols": ("opensocket",)}, set()),
    ({"languages": ("go",), "paths": ("*.py",)}, set()),
]


@pytest.mark.parametrize(("scope", "paths"), SCOPES, ids=[str(scope) for scope, _ in SCOPES])
def test_words_vectors_and_patterns_find_exactly_what_is_in_scope(
    scoped: Store, scope: dict[str, object], paths: set[str]
) -> None:
    assert every(scoped, **scope) == paths


def test_filters_hold_for_the_chunk_and_not_for_its_file(scoped: Store) -> None:
    assert found(scoped, terms="everywhere", kinds=("class",)) == [(PARSER_PATH, 5)]
    assert found(scoped, near="parse", symbols=("parse_json",)) == [(PARSER_PATH, 1)]
    assert (PARSER_PATH, 1) not in found(scoped, terms="everywhere", not_symbols=("parse_json",))
    assert (PARSER_PATH, 5) in found(scoped, terms="everywhere", not_symbols=("parse_json",))
    assert found(scoped, terms="everywhere", languages=("python",), sources=(MAIN,), not_terms=("document",)) == [
        (PARSER_PATH, 5)
    ]
    assert found(scoped, near="json", paths=("src/",), not_terms=("document",)) == [(PARSER_PATH, 5)]


def test_patterns_must_all_match_in_one_chunk(scoped: Store) -> None:
    two = (Pattern("parse_json"), Pattern("document"))
    assert found(scoped, patterns=two) == [(PARSER_PATH, 1)]
    assert found(scoped, patterns=(Pattern("parse_json"), Pattern("JsonError"))) == []
    assert found(scoped, patterns=(Pattern("JsonError"),), not_patterns=(Pattern("code = 7"),)) == []
    assert found(scoped, terms="everywhere", near="json", paths=("src/",), not_patterns=(Pattern("code = [0-9]"),)) == [
        (PARSER_PATH, 1)
    ]


# ----------------------------------------------------------------------------------------------------------------- ranking


def test_candidates_of_words_come_first_in_order_of_their_weighted_sum(store: Store) -> None:
    publish(
        store,
        MAIN,
        {
            "a.py": "def lock():\n    pass\n",
            "lock.py": "nothing = 1\n",
            "c.py": "lock = lock(lock)\n",
            "d.py": "# a long text that says lock once among many words\n",
            "e.py": "unlike = 1\n",
        },
    )
    for weights in ((1.0, 0.8, 0.4), (0.1, 5.0, 0.1), (0.1, 0.1, 9.0), (1.0, 0.0, 0.0)):
        result = candidates(store, terms="lock", weights=weights)
        sums = [one.content * weights[0] + one.path_score * weights[1] + one.names * weights[2] for one in result]
        assert sums == sorted(sums, reverse=True)
        assert all(value > 0 for value in sums)
    assert found(store, terms="lock", weights=(0.1, 5.0, 0.1))[0] == ("lock.py", 1)
    assert found(store, terms="lock", weights=(0.1, 0.1, 9.0))[0] == ("a.py", 1)
    assert {one.path for one in candidates(store, terms="lock")} == {"a.py", "lock.py", "c.py", "d.py"}


def test_a_weight_multiplies_what_its_term_counts_in_every_field(store: Store) -> None:
    publish(
        store, MAIN, {"lock.py": "def lock():\n    pass\n", "key.py": "def key():\n    pass\n", "c.py": "lock = key\n"}
    )

    def scores(terms: str, *term_weights: float) -> dict[str, tuple[float, float, float]]:
        found = candidates(store, terms=terms, term_weights=term_weights)
        return {one.path: (one.content, one.path_score, one.names) for one in found}

    plain, tripled = scores("lock"), scores("lock", 3.0)
    assert set(plain) == set(tripled) == {"lock.py", "c.py"}
    for path, fields in plain.items():
        assert tripled[path] == pytest.approx([3 * value for value in fields], rel=1e-5)
    for path, fields in scores("lock lock").items():
        assert scores("lock lock", 0.5, 1.5)[path] == pytest.approx(fields, rel=1e-5)
    assert found(store, terms="lock key", term_weights=(1.0, 4.0))[0] == ("key.py", 1)
    assert found(store, terms="lock key", term_weights=(4.0, 1.0))[0] == ("lock.py", 1)


def test_each_field_has_its_own_score_without_its_weight(store: Store) -> None:
    publish(store, MAIN, {"lock.py": "def lock():\n    pass\n", "b.py": "lock = 1\n"})
    first = {one.path: one for one in candidates(store, terms="lock")}
    second = {one.path: one for one in candidates(store, terms="lock", weights=(2.0, 7.0, 0.5))}
    assert first["lock.py"].path_score > 0
    assert first["lock.py"].names > 0
    assert first["b.py"].content > 0
    assert first["b.py"].path_score == first["b.py"].names == 0.0
    for path, one in first.items():
        assert second[path].content == pytest.approx(one.content, rel=1e-5)
        assert second[path].path_score == pytest.approx(one.path_score, rel=1e-5)
        assert second[path].names == pytest.approx(one.names, rel=1e-5)


def test_a_term_that_stands_twice_counts_twice(store: Store) -> None:
    publish(store, MAIN, {"a.py": "lock = 1\n", "b.py": "open = 1\n"})
    once = {one.path: one.content for one in candidates(store, terms=("lock", "open"))}
    twice = {one.path: one.content for one in candidates(store, terms=("lock", "open", "open"))}
    assert twice["a.py"] == pytest.approx(once["a.py"], rel=1e-5)
    assert twice["b.py"] == pytest.approx(2 * once["b.py"], rel=1e-5)


def test_equal_scores_are_in_order_of_repository_path_and_line_whatever_came_first(store: Store) -> None:
    same = "same = 1\n\n\n\nsame = 1\n"
    publish(store, OTHER, {"a.py": same})
    publish(store, MAIN, {"z.py": same, "b.py": same})
    publish(store, MAIN, {"z.py": same, "b.py": same, "a.py": same})
    expected = [
        (source.repo, path, line)
        for source, path in [(MAIN, "a.py"), (MAIN, "b.py"), (MAIN, "z.py"), (OTHER, "a.py")]
        for line in (1, 5)
    ]
    by_words = [
        (one.repo, one.path, one.start_line) for one in candidates(store, terms="same", weights=(1.0, 0.0, 0.0))
    ]
    by_vector = [(one.repo, one.path, one.start_line) for one in candidates(store, near="same")]
    by_pattern = [(one.repo, one.path, one.start_line) for one in candidates(store, patterns=(Pattern("^same"),))]
    assert by_pattern == expected
    # Paths are in what words and vectors are made of, so only equal ones are compared here.
    for order in (by_words, by_vector):
        assert [one for one in order if one[1] == "a.py"] == [one for one in expected if one[1] == "a.py"]
        assert sorted(order) == sorted(expected)
    cut = [
        (one.repo, one.path, one.start_line) for one in candidates(store, terms="same", words=3, weights=(1.0, 0, 0))
    ]
    assert cut == by_words[:3]
    cut = [(one.repo, one.path, one.start_line) for one in candidates(store, near="same", vectors=3)]
    assert cut == by_vector[:3]


def test_only_as_many_as_asked_for_are_returned_and_they_are_the_best(store: Store) -> None:
    publish(store, MAIN, {f"f{number:02}.py": f"lock {'pad ' * number}\n" for number in range(30)})
    everything = found(store, terms="lock", words=100)
    assert len(everything) == 30
    assert found(store, terms="lock", words=7) == everything[:7]
    by_vector = found(store, near="lock", vectors=100)
    assert len(by_vector) == 30
    assert found(store, near="lock", vectors=7) == by_vector[:7]
    assert found(store, terms="lock", near="lock", words=0, vectors=0) == []


def test_the_union_of_both_legs_is_returned_and_the_words_come_first(store: Store) -> None:
    publish(store, MAIN, {"a.py": "alpha = 1\n", "b.py": "beta = 1\n", "c.py": "gamma = 1\n"})
    result = candidates(store, terms="beta", near="alpha", words=1, vectors=1)
    assert [one.path for one in result] == ["b.py", "a.py"]
    assert result[0].content > 0
    assert result[1].content == 0.0
    assert all(one.cosine is not None for one in result)
    assert len(candidates(store, terms="alpha", near="alpha", words=1, vectors=1)) == 1


def test_the_cosine_is_that_of_the_vectors_and_is_on_every_candidate(store: Store) -> None:
    publish(store, MAIN, FILES)
    question = EMBEDDER.embed_question("open a socket")
    vectors = {
        (file.path, chunk.start_line): chunk.vector for file in builders.versions(FILES) for chunk in file.chunks
    }
    result = candidates(store, terms="JsonError manual", vector=question, vectors=2)
    assert len(result) > 2
    for one in result:
        exact = _dot(question, vectors[one.path, one.start_line]) / 127**2
        assert one.cosine == pytest.approx(exact, abs=0.02)
    assert all(one.cosine is None for one in candidates(store, terms="JsonError"))


def _dot(one: bytes, two: bytes) -> int:
    return sum(a * b for a, b in zip(memoryview(one).cast("b"), memoryview(two).cast("b"), strict=True))


def test_a_question_without_a_known_token_finds_by_words_alone(store: Store) -> None:
    publish(store, MAIN, FILES)
    result = candidates(store, terms="JsonError", vector=bytes(EMBEDDER.dim))
    assert [(one.path, one.cosine) for one in result] == [("src/parser.py", 0.0)]


def test_a_request_for_nothing_finds_nothing(store: Store) -> None:
    publish(store, MAIN, FILES)
    assert candidates(store) == []
    assert candidates(store, terms="nosuchword") == []


def test_a_candidate_says_what_its_chunk_is(store: Store) -> None:
    file = version("src/parser.py", PARSER, marks=("generated", "vendored"))
    with store.publish(MAIN) as publication:
        publication.put([file])
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob)])
    (one,) = candidates(store, terms="JsonError")
    chunk = file.chunks[1]
    assert (one.repo, one.path, one.blob, one.language) == (MAIN.repo, file.path, file.blob, "python")
    assert (one.marks, one.kind, one.breadcrumb, one.symbols) == (
        ("generated", "vendored"),
        "code",
        chunk.breadcrumb,
        chunk.symbols,
    )
    assert (one.start_line, one.end_line, one.content_hash) == (5, 8, chunk.content_hash)
    assert re.fullmatch("[0-9a-f]{32}", one.chunk_id)


# ---------------------------------------------------------------------------------------------------------------- patterns


LINES = {
    "a.go": 'func (s *Server) Shutdown(ctx context.Context) error {\n\treturn fmt.Errorf("closed")\n}\n',
    "b.go": "alpha\nbeta gamma\r\ndelta\r\nlast",
    "c.txt": "naïve café\nfoo_bar fooBar FOO\nx" + "y" * 300 + "z end\n",
    "d.txt": "one two\nthree\n\n\nthree four\none\n",
}


@pytest.mark.parametrize(
    ("regex", "paths"),
    [
        (r"fmt\.Errorf\(", ["a.go"]),
        (r"\(s \*Server\) Shutdown", ["a.go"]),
        (r"error \{$", ["a.go"]),
        (r"^\treturn", ["a.go"]),
        (r"beta gamma$", ["b.go"]),
        (r"^delta$", ["b.go"]),
        (r"alpha\s+beta", []),
        (r"alpha[^x]*beta", []),
        (r"(?s)alpha.beta", []),
        (r"\Alast\z", ["b.go"]),
        (r"naïve", ["c.txt"]),
        (r"\bcaf", ["c.txt"]),
        (r"foo_?bar", ["c.txt"]),
        (r"(?i)foobar", ["c.txt"]),
        (r"fooBa", ["c.txt"]),
        (r"oBa", ["c.txt"]),
        (r"y{200}", ["c.txt"]),
        (r"y{299}z\b", ["c.txt"]),
        (r"yyyyz end", ["c.txt"]),
        (r"one two", ["d.txt"]),
        (r"^one$", ["d.txt"]),
        (r"[[:upper:]]{3}$", ["c.txt"]),
        (r"FOO$|four$", ["c.txt", "d.txt"]),
        (r"nothing like this", []),
    ],
)
def test_a_pattern_matches_within_one_line(store: Store, regex: str, paths: list[str]) -> None:
    publish(store, MAIN, LINES)
    assert sorted({one.path for one in candidates(store, patterns=(Pattern(regex),))}) == paths


def test_case_counts_in_a_literal(store: Store) -> None:
    publish(store, MAIN, LINES)
    assert found(store, patterns=(Pattern("fooBar", "fooBar"),)) == [("c.txt", 1)]
    assert found(store, patterns=(Pattern("foobar", "foobar"),)) == []


def test_all_chunks_that_match_are_returned_with_their_number(store: Store) -> None:
    files = {f"f{number:02}.py": f"needle = {number}\n" for number in range(25)}
    publish(store, MAIN, {**files, "other.py": "hay = 1\n"})
    everything = store.retrieve(Request(scope=Scope(patterns=(Pattern("needle", "needle"),))))
    assert [one.path for one in everything.candidates] == sorted(files)
    assert (everything.total, everything.exact_total) == (25, True)
    some = store.retrieve(Request(scope=Scope(patterns=(Pattern("needle", "needle"),)), matches=10))
    assert [one.path for one in some.candidates] == sorted(files)[:10]
    assert some.total >= 10
    assert not some.exact_total or some.total == 25


def test_matches_are_in_order_of_their_score_and_those_without_a_term_last(store: Store) -> None:
    publish(
        store,
        MAIN,
        {"a.py": "needle = 1\n", "b.py": "needle = lock\n", "c.py": "needle = lock lock lock\n", "d.py": "lock\n"},
    )
    result = candidates(store, patterns=(Pattern("needle"),), terms="lock")
    assert [one.path for one in result] == ["c.py", "b.py", "a.py"]
    assert [one.content > 0 for one in result] == [True, True, False]
    first = candidates(store, patterns=(Pattern("needle"),), terms="lock", matches=1)
    assert [one.path for one in first] == ["c.py"]
    near = candidates(store, patterns=(Pattern("needle"),), terms="lock", near="needle")
    assert [one.path for one in near] == ["c.py", "b.py", "a.py"]
    assert all(one.cosine is not None for one in near)


ALPHABET = "ab_B1 (.é\n"
PIECES = st.sampled_from(
    [
        *r"a b ab _ B 1 \( \. é . \w \W \d \s \b ^ $ a+ b? [ab] [^a] (?:a|b1) (?i:ab) \w+ .* \s* (?:b\()? a{2}".split(),
        " ",
    ]
)


def _corpus() -> dict[str, str]:
    """Texts over a small alphabet: every short word stands somewhere, alone and inside others."""
    import random

    chance = random.Random(7)
    return {
        f"{number:03}.txt": "".join(chance.choice(ALPHABET) for _ in range(chance.randrange(4, 60)))
        for number in range(60)
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_pattern_finds_what_a_full_scan_finds(store: Store, data: st.DataObject) -> None:
    corpus = _corpus()
    if not store.sources():
        publish(store, MAIN, corpus, lines=2)
    regex = "".join(data.draw(st.lists(PIECES, min_size=1, max_size=6)))
    try:
        alone = re2.compile(regex)
    except re2.error:
        return
    expected = [
        (path, chunk.start_line)
        for path, content in sorted(corpus.items())
        for chunk in version(path, content, lines=2).chunks
        if any(alone.search(line) for line in content.encode()[chunk.start_byte : chunk.end_byte].decode().split("\n"))
    ]
    assert found(store, patterns=(Pattern(regex),)) == expected


# ------------------------------------------------------------------------------------------------------------ texts, paths


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


# --------------------------------------------------------------------------------------------------------- cache of vectors


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


# -------------------------------------------------------------------------------------------------------------------- dump


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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# -------------------------------------------------------------------------------------- other processes, killed or beside


CHILD_HEAD = """
import sys, itertools
sys.path.insert(0, {tests!r})
{imports}
import builders
from builders import EMBEDDER, RECIPE, state, version
from codequarry.types import *
store = {expression}
CHUNKS = {chunks}
"""
CHUNKS = 5


def generation(number: int) -> dict[str, str]:
    """Files all chunks of which say which generation they are of; each has as many chunks."""
    block = "marker = {}\nfiller\nfiller\nfiller\n"
    return {f"f{at}.py": "".join(block.format(f"g{number}x{at}") for _ in range(CHUNKS)) for at in range(3)}


def child(factory: object, body: str) -> subprocess.Popen[str]:
    """Another process that runs `body` with the store opened as `store`."""
    head = CHILD_HEAD.format(
        tests=str(Path(builders.__file__).parent),
        imports=factory.imports,  # type: ignore[attr-defined]
        expression=factory.expression,  # type: ignore[attr-defined]
        chunks=CHUNKS,
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + body], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


READER = """
import re, select
wrong, rounds, seen = [], 0, set()

def look():
    for request in (Request(terms=("marker",)), Request(scope=Scope(patterns=(Pattern("marker = g"),)))):
        result = store.retrieve(request).candidates
        files = {}
        for one, piece in zip(result, store.texts(result)):
            files.setdefault(one.path, []).append((one.blob, re.search("g[0-9]+x", piece).group()))
        for path, chunks in files.items():
            seen.add(chunks[0][1])
            if len(set(chunks)) != 1 or len(chunks) != CHUNKS:
                wrong.append((path, chunks))
        if sorted(files) != ["f0.py", "f1.py", "f2.py"]:
            wrong.append(sorted(files))

look()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    look()
    rounds += 1
look()
print(rounds, len(seen), wrong, flush=True)
"""


def test_a_reader_beside_a_writer_sees_old_or_new_and_never_a_mix(
    store: Store, store_factory: Callable[[], Store]
) -> None:
    publish(store, MAIN, generation(0))
    reader = child(store_factory, READER)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(1, 25):
        publish(store, MAIN, generation(number))
    out, _ = reader.communicate("stop\n", timeout=120)
    rounds, seen, wrong = out.strip().split(" ", 2)
    assert wrong == "[]"
    assert int(rounds) > 0
    assert int(seen) > 1


WRITER = """
print("ready", flush=True)
for number in itertools.count(int(sys.stdin.readline())):
    block = "marker = {}\\nfiller\\nfiller\\nfiller\\n"
    files = [version(f"f{at}.py", "".join(block.format(f"g{number}x{at}") for _ in range(CHUNKS))) for at in range(3)]
    with store.publish(Source("github.com/acme/api", "main"), wait_s=20) as publication:
        for file in files:
            publication.put([file])
            print("put", number, file.path, flush=True)
        publication.commit(state(Source("github.com/acme/api", "main")), show=[Shown(f.path, f.blob) for f in files])
        print("committed", number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 4, 7, 8, 11])
def test_killing_a_writer_leaves_the_old_or_the_new_state_and_the_next_one_goes_on(
    store: Store, store_factory: Callable[[], Store], lines: int
) -> None:
    publish(store, MAIN, generation(0))
    writer = child(store_factory, WRITER)
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("1\n")
    writer.stdin.flush()
    said = [writer.stdout.readline().split() for _ in range(lines)]
    os.kill(writer.pid, signal.SIGKILL)  # in the middle of whatever comes next
    rest, _ = writer.communicate(timeout=60)
    said += [line.split() for line in rest.splitlines()]
    committed = max([0, *(int(line[1]) for line in said if line[0] == "committed")])

    again = store_factory()
    rows = list(again.dump())
    shown = {row.path: row.blob for row in rows}
    states = [
        {path: blob_of(content) for path, content in generation(number).items()}
        for number in (committed, committed + 1)
    ]
    assert shown in states
    assert len(rows) == 3 * CHUNKS
    current = committed + states.index(shown)
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert len(found(again, patterns=(Pattern(rf"g{current}x\d"),))) == 3 * CHUNKS

    # Whatever a publication put and did not live to commit is there wholly or not at all: `have` says which.
    with again.publish(MAIN, wait_s=20.0) as publication:
        files = builders.versions(generation(committed + 1))
        had = publication.have(file.key for file in files)
        assert had <= {file.key for file in files}
        publication.put([file for file in files if file.key not in had])
        publication.commit(state(MAIN), show=[Shown(file.path, file.blob) for file in files])
    assert {row.blob for row in again.dump()} == {file.blob for file in files}
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert len(found(again, patterns=(Pattern(rf"g{committed + 1}x\d"),))) == 3 * CHUNKS
    again.compact()
    assert len(found(again, terms="marker")) == 3 * CHUNKS
    assert [one for one in again.check() if not one.ok] == []
