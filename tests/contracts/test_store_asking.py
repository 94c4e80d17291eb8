"""What `codequarry.ports.Store.retrieve` promises of scopes and of the order of what is found, for every store."""

from __future__ import annotations

import re
from typing import Any

import builders
import pytest
from builders import EMBEDDER, publish, state, version
from stored import FILES, MAIN, OTHER, PARSER, candidates, every, found, with_everywhere

from codequarry.ports import Store
from codequarry.types import Pattern, Shown, Source

# ---------------------------------------------------------------------------------------------------------------- scope


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
    scoped: Store, scope: dict[str, Any], paths: set[str]
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


# -------------------------------------------------------------------------------------------------------------- ranking


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
