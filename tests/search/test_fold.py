"""Twins: a header and its implementation, source and its declarations or its build, in one hit that names each with its lines."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE, publish
from hypothesis import given
from hypothesis import strategies as st

from codequarry.search import Engine, fold
from codequarry.search.measures import measured, places
from codequarry.search.pool import Found, Ranked
from codequarry.search.prompt import PromptBuilder
from codequarry.search.snippets import Group
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Candidate, Place, Source

LIBRARY = Source("github.com/acme/lib", "main")
FILES = {
    "include/acme/ring_buffer.h": "#pragma once\n\nvoid ring_buffer_wait(int ticks); // overflow of the ring buffer\n",
    "src/ring_buffer.c": "#include <acme/ring_buffer.h>\n\nvoid ring_buffer_wait(int ticks) {\n"
    "  overflow = ring + buffer; // overflow of the ring buffer wait\n}\n",
    "types/plugin/clock.d.ts": "export function clockOverflow(ticks: number): void // ring buffer\n",
    "src/plugin/clock/index.js": "export function clockOverflow(ticks) {\n  return ticks\n}\n",
    "tests/ring_buffer.c": "void test_ring_buffer_wait() { overflow(ring, buffer); }\n",
    "src/timer.c": "void timer_overflow(void) {}\n",
    "src/timer.js": "function overflow() {}\n",
}
ISSUE = "Overflow of the ring buffer\n\nIt waits for ring_buffer_wait and clockOverflow, and then the timer has an overflow."


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    store = EmbeddedStore(tmp_path_factory.mktemp("fold") / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, LIBRARY, FILES, web="https://github.com/acme/lib")
    yield Engine(store, EMBEDDER)
    store.close()


def paths(hits):
    return [hit.path for hit in hits]


def group(path, score=0.0, roles=(), repo="github.com/acme/lib"):
    candidate = Candidate(repo, path, "b", "", (), "code", 1, 9, path, (), path, (Place(LIBRARY, "", "", False, ""),))
    return Group(Ranked([Found(candidate)], frozenset(roles), {"words": score}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src/a.h", "src/a.c"),
        ("a.hpp", "a.cpp"),
        ("include/a.h", "src/a.cc"),
        ("include/spdlog/async.h", "src/async.cpp"),
        ("include/spdlog/details/pool.h", "src/details/pool.cpp"),
        ("packages/core/include/a.h", "packages/core/src/a.cpp"),
        ("lib/a.d.ts", "lib/a.js"),
        ("index.d.ts", "index.js"),
        ("types/index.d.ts", "src/index.ts"),
        ("types/plugin/utc.d.ts", "src/plugin/utc/index.js"),
        ("pkg/fast.pyi", "pkg/fast.pyx"),
    ],
)
def test_a_header_and_its_implementation_source_and_its_declarations_are_twins(one, other):
    assert fold.are_twins(fold.side_of(one), fold.side_of(other))
    assert fold.are_twins(fold.side_of(other), fold.side_of(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src/a.c", "src/b.h"),
        ("src/a.h", "lib/a.h"),
        ("unix/tty.c", "win/tty.h"),
        ("include/one/a.h", "src/two/a.c"),
        ("src/deep/er/a.h", "src/a.c"),
        ("client/index.js", "server/index.d.ts"),
        ("src/a.c", "src/a.d.ts"),
        ("src/a.py", "src/a.h"),
        ("src/a.ts", "src/a.tsx"),
    ],
)
def test_files_of_other_names_folders_or_kinds_are_not(one, other):
    assert not fold.are_twins(fold.side_of(one), fold.side_of(other))


@pytest.mark.parametrize("path", ["README.md", "Makefile", ".h", "a.go", "src/.c"])
def test_most_files_have_no_sides(path):
    assert fold.side_of(path) is None


def test_an_issue_has_header_and_implementation_in_one_hit_under_the_source(library):
    hits = library.search(ISSUE).hits
    hit = next(hit for hit in hits if hit.path == "src/ring_buffer.c")
    (header,) = hit.related
    assert (header.path, header.repo, header.commit, header.branch) == (
        "include/acme/ring_buffer.h",
        LIBRARY.repo,
        hit.commit,
        "main",
    )
    lines = FILES[header.path].split("\n")
    assert header.text == "\n".join(lines[header.start_line - 1 : header.end_line])
    assert header.url.endswith(f"/{header.path}#L{header.start_line}-L{header.end_line}")
    assert header.path not in paths(hits) and not header.related


def test_declarations_in_a_folder_of_their_own_are_folded_under_the_plugin(library):
    hits = library.search(ISSUE).hits
    hit = next(hit for hit in hits if hit.path == "src/plugin/clock/index.js")
    assert paths(hit.related) == ["types/plugin/clock.d.ts"]


def test_a_test_is_no_twin_of_what_it_tests(library):
    assert "tests/ring_buffer.c" in paths(library.search(ISSUE).hits)


def test_a_short_question_has_a_hit_for_each_file(library):
    hits = library.search("ring buffer overflow").hits
    assert {"include/acme/ring_buffer.h", "src/ring_buffer.c"} <= set(paths(hits))
    assert not any(hit.related for hit in hits)


@pytest.mark.parametrize("path", ["dist/bundle.js", "dist/ring/wait.min.js", "generated/ring.js"])
def test_for_an_issue_what_tools_made_comes_after_all_source_whatever_words_it_has(tmp_path, path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    source = {"src/ring.js": FILES["src/ring_buffer.c"], "src/wait.js": "function ringWait() { return buffer }\n"}
    publish(store, LIBRARY, source | {path: "".join(f"ring.buffer.overflow({n})\n" for n in range(9))})
    found = paths(Engine(store, EMBEDDER).search(ISSUE).hits)
    store.close()
    assert found[-1] == path and set(found) == {*source, path}


def test_folding_leaves_no_file_out_and_can_be_switched_off(library):
    hits, apart = library.search(ISSUE).hits, library.search(ISSUE, off={"fold"}).hits
    shown = [path for hit in hits for path in paths([hit, *hit.related])]
    assert sorted(shown) == sorted(paths(apart)) and len(hits) < len(apart)
    assert not any(hit.related for hit in apart)


def test_pages_of_folded_hits_follow_each_other(library):
    whole = paths(library.search(ISSUE).hits)
    turned, cursor = [], None
    while True:
        page = library.search(ISSUE, limit=2, cursor=cursor)
        turned += paths(page.hits)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert turned == whole and page.total == library.search(ISSUE).total


def test_an_explanation_of_folded_hits_adds_up_and_scores_go_down(library):
    hits = library.search(ISSUE, explain=True).hits
    for one in [*hits, *(related for hit in hits for related in hit.related)]:
        assert sum(one.why["signals"].values()) == pytest.approx(one.score)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_a_source_takes_the_place_and_score_of_the_declarations_that_were_found_before_it():
    made = fold.folded([group("a.d.ts", 3.0), group("b.c", 2.0), group("a.js", 1.0)])
    assert [one.ranked.best.candidate.path for one in made] == ["a.js", "b.c"]
    assert [one.ranked.score for one in made] == [3.0, 2.0]
    assert made[0].ranked.shares == {"words": 1.0, fold.SHARE: 2.0}
    assert [one.ranked.best.candidate.path for one in made[0].related] == ["a.d.ts"]


def test_built_scripts_are_related_to_their_source_and_never_lead():
    built = [group(f"dist/{name}", score, ["build"]) for name, score in (("axios.js", 3.0), ("esm/axios.min.js", 2.0))]
    (made,) = fold.folded([*built, group("lib/axios.js", 1.0)])
    assert made.ranked.best.candidate.path == "lib/axios.js"
    assert [one.ranked.best.candidate.path for one in made.related] == ["dist/axios.js", "dist/esm/axios.min.js"]


def test_files_of_two_repositories_are_never_folded():
    apart = [group("a.h", 2.0), group("a.c", 1.0, repo="github.com/acme/other")]
    assert fold.folded(apart) == apart


@given(
    st.lists(
        st.builds(
            lambda folder, name, ending: f"{folder}{name}{ending}",
            st.sampled_from(["", "src/", "include/", "include/x/", "dist/", "tests/", "src/a/"]),
            st.sampled_from(["a", "b", "index"]),
            st.sampled_from([".c", ".h", ".js", ".d.ts", ".ts", ".py", ".md"]),
        ),
        unique=True,
    ),
    st.data(),
)
def test_whatever_is_found_each_file_is_in_one_hit_once_and_no_hit_comes_later(found, data):
    roles = {
        path: ["build"] if path.startswith("dist/") else ["test"] if path.startswith("tests/") else [] for path in found
    }
    groups = [group(path, float(-place), roles[path]) for place, path in enumerate(found)]
    made = fold.folded(groups)
    shown = [[one.ranked.best.candidate.path for one in (hit, *hit.related)] for hit in made]
    assert sorted(path for hit in shown for path in hit) == sorted(found)
    best = [min(map(found.index, hit)) for hit in shown]
    assert best == sorted(best)
    assert [hit.ranked.score for hit in made] == [float(-place) for place in best]


def test_a_prompt_cites_both_sides_the_source_first(library):
    prompt = PromptBuilder(library, budget=2000).build(ISSUE)
    cited = [block.path for block in prompt.blocks]
    at = cited.index("src/ring_buffer.c")
    assert cited[at + 1] == "include/acme/ring_buffer.h"
    for block in prompt.blocks:
        lines = FILES[block.path].split("\n")
        assert block.text == "\n".join(lines[block.start_line - 1 : block.end_line])


def test_a_related_file_counts_at_the_place_of_the_hit_that_shows_it_and_only_with_the_lines_shown(library):
    rows = places(library.search(ISSUE).hits)
    place = next(number for number, row in enumerate(rows, 1) if row["path"] == "src/ring_buffer.c")
    (header,) = rows[place - 1]["related"]
    target = {"path": header["path"], "start_line": header["start_line"], "end_line": header["end_line"]}
    assert measured([target], rows)["ndcg"] == pytest.approx(measured([{"path": "src/ring_buffer.c"}], rows)["ndcg"])
    below = header["end_line"] + 1
    assert measured([{"path": header["path"], "start_line": below, "end_line": below}], rows)["ndcg"] == 0.0
