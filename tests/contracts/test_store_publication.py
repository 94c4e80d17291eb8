"""What `codequarry.ports.Store` promises of publishing, for every store: each test is a sentence of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import builders
import pytest
from builders import EMBEDDER, RECIPE, blob_of, publish, state, version
from stored import FILES, FOLDER, MAIN, NEXT, OTHER, PARSER, candidates, found

from codequarry.errors import ModelMismatch, StoreError, WriterBusy
from codequarry.models import open_embedder
from codequarry.ports import Store
from codequarry.types import FileKey, Pattern, Scope, Shown, Skipped, SourceState

# ---------------------------------------------------------------------------------------------------------------- index


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


# ---------------------------------------------------------------------------------------------------------- publication


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


# -------------------------------------------------------------------------------------------- branches and repositories


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
