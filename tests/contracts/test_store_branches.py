"""What the contract says of a source that begins with what another of its repository shows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import builders
import pytest
from builders import EMBEDDER, RECIPE, blob_of, publish, state
from stored import FILES, FOLDER, MAIN, NEXT, OTHER, PARSER, candidates, every, found, with_everywhere

from codequarry.errors import PathNotFound
from codequarry.ports import Store
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import DumpRow, FileKey, Pattern, Scope, Shown, Source, SourceState

THIRD = Source(MAIN.repo, "third")
ALL = with_everywhere(FILES)


def branch(
    store: Store, source: Source, base: Source | None, files: Mapping[str, str], **fields: object
) -> SourceState:
    """Makes the source show these files as an index run does: it begins with the base, and names differences alone."""
    wanted = {path: blob_of(content) for path, content in files.items()}
    with store.publish(source) as publication:
        shown = publication.shown()
        if not shown and base is not None:
            shown = publication.begin_with(base)
        changed = {path: blob for path, blob in wanted.items() if path not in shown or shown[path].blob != blob}
        there = publication.have(FileKey(path, blob) for path, blob in changed.items())
        missing = {path: files[path] for path, blob in changed.items() if (path, blob) not in there}
        publication.put(builders.versions(missing))
        return publication.commit(
            state(source, **fields),
            show=[Shown(path, blob) for path, blob in changed.items()],
            hide=[path for path in shown if path not in files],
        )


def rows(store: Store, source: Source) -> list[DumpRow]:
    """What a source shows, without its name."""
    return [row._replace(branch="") for row in store.dump(source)]


def clean_rows(folder: Path, files: Mapping[str, str]) -> list[DumpRow]:
    """What a source would show that was built at once."""
    store = EmbeddedStore(folder, create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, MAIN, files)
    made = rows(store, MAIN)
    store.close()
    return made


def test_a_branch_that_begins_with_another_shows_the_same_to_every_question(store: Store) -> None:
    first = branch(store, MAIN, None, ALL)
    second = branch(store, NEXT, MAIN, ALL, default=False)
    assert rows(store, NEXT) == rows(store, MAIN)
    assert replace(second, source=MAIN, head="main", default=True, indexed_at=first.indexed_at) == first
    assert store.paths(NEXT) == sorted(ALL)
    assert every(store, sources=(NEXT,)) == set(ALL)
    assert {place.source for one in candidates(store, terms="JsonError") for place in one.places} == {MAIN}
    (one,) = candidates(store, terms="JsonError", sources=(MAIN, NEXT))
    assert [place.source for place in one.places] == [MAIN, NEXT]
    assert store.read_file(NEXT, "src/parser.py").text == ALL["src/parser.py"]
    assert len(store.chunks_of(NEXT, "src/parser.py")) == len(store.chunks_of(MAIN, "src/parser.py"))
    assert store.unknown_terms(("everywher", "jsonerror", "nowher"), Scope(sources=(NEXT,))) == ["nowher"]
    assert [one.source for one in store.sources()] == [MAIN, NEXT]
    assert [one.building for one in store.sources()] == [False, False]


def test_a_branch_begins_with_differences_and_each_goes_its_own_way(store: Store) -> None:
    branch(store, MAIN, None, FILES)
    changed = {"src/parser.py": "only_next = 1\n", "new.py": "x = 1\n", "README.md": FILES["README.md"]}
    stored = branch(store, NEXT, MAIN, changed)
    assert (stored.files, stored.size_bytes) == (3, sum(map(len, changed.values())))
    assert store.paths(NEXT) == sorted(changed)
    assert store.paths(MAIN) == sorted(FILES)
    with pytest.raises(PathNotFound):
        store.read_file(NEXT, "server/socket.go")
    assert found(store, terms="listen", sources=(NEXT,)) == [("README.md", 1)]
    assert found(store, terms="JsonError", sources=(NEXT,)) == []
    assert found(store, patterns=(Pattern("only_next"),), sources=(MAIN,)) == []
    back = branch(store, NEXT, MAIN, FILES)
    assert rows(store, NEXT) == rows(store, MAIN)
    assert (back.files, back.chunks) == (3, len(rows(store, MAIN)))


def test_what_a_branch_began_with_stays_when_the_other_goes_on(store: Store) -> None:
    branch(store, MAIN, None, ALL)
    before = rows(store, MAIN)
    branch(store, NEXT, MAIN, ALL)
    for number in range(3):
        branch(store, MAIN, None, {"src/parser.py": f"number = {number}\n", f"new{number}.py": "y = 1\n"})
        store.compact()
        assert rows(store, NEXT) == before
        assert every(store, sources=(NEXT,)) == set(ALL)
        assert store.paths(MAIN) == sorted([f"new{number}.py", "src/parser.py"])
    branch(store, THIRD, MAIN, {"src/parser.py": "number = 2\n", "new2.py": "y = 1\n"})
    branch(store, MAIN, None, ALL)
    assert rows(store, NEXT) == rows(store, MAIN) == before
    assert store.paths(THIRD) == ["new2.py", "src/parser.py"]


def test_a_branch_stays_when_the_one_it_began_with_is_forgotten_and_made_again(store: Store) -> None:
    branch(store, MAIN, None, ALL)
    before = rows(store, MAIN)
    branch(store, NEXT, MAIN, ALL)
    store.forget(MAIN)
    store.compact()
    assert [one.source for one in store.sources()] == [NEXT]
    assert (rows(store, NEXT), rows(store, MAIN)) == (before, [])
    assert every(store, sources=(NEXT,)) == every(store) == set(ALL)
    branch(store, MAIN, NEXT, {**ALL, "README.md": "# Other\n"})
    assert rows(store, NEXT) == before
    assert store.paths(MAIN) == sorted(ALL)
    assert store.read_file(MAIN, "README.md").text == "# Other\n"
    assert store.read_file(MAIN, "src/parser.py").text == ALL["src/parser.py"]
    store.forget(NEXT)
    store.compact()
    branch(store, NEXT, MAIN, ALL)
    assert rows(store, NEXT) == before
    assert store.read_file(MAIN, "README.md").text == "# Other\n"


def test_what_only_a_forgotten_branch_showed_is_removed_wherever_it_came_from(store: Store) -> None:
    branch(store, MAIN, None, FILES)
    branch(store, NEXT, MAIN, {**FILES, "next.py": "own = 1\n"})
    branch(store, MAIN, None, {"src/parser.py": "other = 1\n"})
    store.forget(NEXT)
    store.compact()
    with store.publish(MAIN) as publication:
        keys = {FileKey(path, blob_of(content)) for path, content in {**FILES, "next.py": "own = 1\n"}.items()}
        assert publication.have(keys) == set()
    assert store.unknown_terms(("jsonerror", "own"), Scope()) == ["jsonerror", "own"]
    assert store.paths(MAIN) == ["src/parser.py"]


def test_branches_begin_with_branches_to_any_depth_and_go_in_any_order(store: Store) -> None:
    files = dict(ALL)
    line = [Source(MAIN.repo, f"b{number}") for number in range(7)]
    expected = {}
    for number, source in enumerate(line):
        files[f"f{number}.py"] = f"number = {number}  # everywhere\n"
        files.pop(f"f{number - 2}.py", None)
        branch(store, source, line[number - 1] if number else None, files)
        expected[source] = dict(files)
    for source in [line[3], line[0], line[6], line[1], line[4]]:
        store.forget(source)
        expected.pop(source)
        store.compact()
        for one, content in expected.items():
            assert store.paths(one) == sorted(content)
            assert every(store, sources=(one,)) == set(content)


def test_a_beginning_without_commit_changes_nothing_and_can_be_made_again(store: Store) -> None:
    branch(store, MAIN, None, FILES)
    before = list(store.dump())
    with store.publish(NEXT) as publication:
        publication.begin_with(MAIN)
        assert list(store.dump()) == before
        assert store.paths(NEXT) == []
        assert found(store, terms="JsonError", sources=(NEXT,)) == []
    branch(store, MAIN, None, {"src/parser.py": PARSER})
    branch(store, NEXT, MAIN, {"src/parser.py": PARSER})
    assert store.paths(NEXT) == ["src/parser.py"]
    assert rows(store, NEXT) == rows(store, MAIN)


def test_only_a_new_source_begins_with_another_of_its_repository(store: Store) -> None:
    branch(store, MAIN, None, FILES)
    publish(store, NEXT, {"a.py": "x = 1\n"})
    for source, base in ((NEXT, MAIN), (OTHER, MAIN), (FOLDER, THIRD), (FOLDER, FOLDER)):
        with store.publish(source) as publication:
            shown = dict(publication.shown())
            assert publication.begin_with(base) == shown
    assert store.paths(NEXT) == ["a.py"]


def test_access_is_that_of_the_branch_and_not_of_what_it_began_with(store: Store) -> None:
    branch(store, MAIN, None, FILES, access=("staff",))
    branch(store, NEXT, MAIN, FILES, access=("guests",))
    (one,) = candidates(store, terms="JsonError", access=("guests",))
    assert [place.source for place in one.places] == [NEXT]
    (one,) = candidates(store, terms="JsonError", access=("staff",))
    assert [place.source for place in one.places] == [MAIN]


def test_versions_of_an_older_recipe_are_made_again_on_a_branch_that_began_with_them(store: Store) -> None:
    branch(store, MAIN, None, FILES)
    branch(store, NEXT, MAIN, FILES)
    before = rows(store, MAIN)
    store.prepare(EMBEDDER, "another recipe")
    with store.publish(NEXT) as publication:
        assert {item.blob for item in publication.shown().values()} == {""}
    branch(store, NEXT, MAIN, FILES)
    store.forget(MAIN)
    store.compact()
    assert rows(store, NEXT) == before


SOURCES = (MAIN, NEXT, THIRD, Source(MAIN.repo, "fourth"))


@pytest.mark.parametrize("seed", range(2))
def test_after_any_history_of_branches_each_shows_what_a_clean_build_shows(
    store: Store, store_factory: Callable[[], Store], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    shown: dict[Source, dict[str, str]] = {}
    for _ in range(30):
        source = chance.choice(SOURCES)
        match chance.choice(["change", "change", "change", "equal", "forget", "left", "compact"]):
            case "forget":
                store.forget(source)
                shown.pop(source, None)
            case "left":
                with store.publish(source) as publication:
                    if not publication.shown() and shown:
                        publication.begin_with(chance.choice(list(shown)))
                    publication.put(builders.versions({"left.py": f"left = {chance.random()}\n"}))
            case "compact":
                store.compact()
            case what:
                base = chance.choice(sorted(shown)) if shown else None
                files = dict(shown.get(source) or (shown[base] if base else {}))
                if what == "equal" and base:
                    files = dict(shown[base])
                else:
                    _change(files, chance)
                branch(store, source, base if base != source else None, files)
                shown[source] = files
        assert {one: set(store.paths(one)) for one in shown} == {one: set(files) for one, files in shown.items()}
        asked = chance.choice(SOURCES)
        assert _found(store, [asked]) == _keys({asked: shown.get(asked, {})})
    store.compact()
    for number, (source, files) in enumerate(shown.items()):
        assert rows(store, source) == clean_rows(tmp_path / f"clean{number}", files)
    assert {one.source for one in store.sources() if one.indexed_at} == set(shown)
    assert _found(store_factory(), SOURCES) == _keys(shown)


def _change(files: dict[str, str], chance: random.Random) -> None:
    for _ in range(chance.choice([1, 2, 5])):
        path = f"d{chance.randrange(2)}/f{chance.randrange(6)}.py"
        if chance.random() < 0.3:
            files.pop(path, None)
        else:
            files[path] = f"value = {chance.randrange(3)}  # everywhere\n" * chance.choice([1, 6])


def _keys(shown: Mapping[Source, Mapping[str, str]]) -> set[tuple[Source, str, str]]:
    return {(source, path, blob_of(content)) for source, files in shown.items() for path, content in files.items()}


def _found(store: Store, sources: Iterable[Source]) -> set[tuple[Source, str, str]]:
    return {
        (place.source, one.path, one.blob)
        for one in candidates(store, patterns=(Pattern("everywhere"),), sources=tuple(sources))
        for place in one.places
    }
