"""What each signal of the ranking says, and that the order is the same every time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from codequarry.search import features, rank
from codequarry.search.feature_set import digest, weights_of
from codequarry.search.features_described import DESCRIBED
from codequarry.search.features_short import SHORT, abbreviation
from codequarry.search.pool import collapsed
from codequarry.search.query import parse
from codequarry.search.retrieve import own_name_terms, question_terms
from codequarry.types import Candidate, Place, Source, Symbol

WEIGHTS = (1.0, 0.8, 0.4)
REPORTS = Path(__file__).parents[2] / "bench" / "reports"


def candidate(path, start=1, *, repo="github.com/a/b", language="python", kind="code", symbols=(), **fields):
    given = {"content": 5.0, "names": 1.0 if symbols else 0.0, "marks": (), "breadcrumb": path} | fields
    place = Place(Source(repo, "main"), "c" * 40, "main", False, "")
    return Candidate(
        repo=repo,
        path=path,
        blob="b",
        language=language,
        kind=kind,
        start_line=start,
        end_line=start + 9,
        symbols=tuple(Symbol(name, of_kind, start) for name, of_kind in symbols),
        content_hash="",
        places=(place,),
        **given,
    )


def question_about(text):
    query = parse(text)
    return features.question_of(query, question_terms(query.question, set()))


def order(text, *candidates, off=()):
    question = question_about(text)
    return [ranked.best.candidate.path for ranked in rank.rank(question, candidates, WEIGHTS, off=off)]


def role_of(path, language="", kind="code", marks=()):
    return set(features.roles(path, language, kind, marks))


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("pkg/server_test.go", "go"),
        ("tests/helpers.py", "python"),
        ("pkg/test_server.py", "python"),
        ("pkg/conftest.py", "python"),
        ("src/app.test.ts", "typescript"),
        ("src/__tests__/app.js", "javascript"),
        ("src/test/java/AppHelper.java", "java"),
        ("src/AppTest.java", "java"),
        ("src/jvmTest/kotlin/App.kt", "kotlin"),
        ("Tests/AppTests/App.swift", "swift"),
        ("App.UnitTests/Builder.cs", "csharp"),
        ("spec/app_spec.rb", "ruby"),
        ("lib/app_test.exs", "elixir"),
        ("src/tests.rs", "rust"),
        ("test/run.bats", "bash"),
        ("src/unit-test.c", "c"),
    ],
)
def test_tests_are_known_by_folder_and_by_the_custom_of_their_language(path, language):
    assert features.TEST in role_of(path, language)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("lib/test_functions.bash", "bash"),
        ("src/testing.go", "go"),
        ("src/contest.py", "python"),
        ("src/latest.ts", "typescript"),
        ("src/Attestation.java", "java"),
        ("lib/inspector.rb", "ruby"),
        ("src/specification/Parser.kt", "kotlin"),
    ],
)
def test_names_that_only_have_the_letters_of_test_are_no_tests(path, language):
    assert role_of(path, language) == set()


def test_other_roles_come_from_marks_folders_names_and_kinds():
    assert role_of("third_party/x.c", "c") == {features.VENDORED}
    assert role_of("x.c", "c", marks=("vendored",)) == {features.VENDORED}
    assert role_of("api/x.pb.go", "go") == {features.GENERATED}
    assert role_of("examples/x.py", "python") == {features.EXAMPLE}
    assert role_of("src/x.d.ts", "typescript") == {features.DECLARATION}
    assert role_of("x.md", "markdown", kind="docs") == {features.DOCS}
    assert role_of("x.toml", "toml", kind="config") == {features.CONFIG}
    assert role_of("src/x.py", "python") == set()


def plain_beside(path):
    """A file that differs from the one at this path by its role alone."""
    return candidate("z.py" if "/" not in path else "z/z.py")


@pytest.mark.parametrize(
    ("share", "path", "fields"),
    [
        ("tests_last", "tests/a.py", {}),
        ("example", "examples/a.py", {}),
        ("benchmark", "bench/a.py", {}),
        ("vendored", "vendor/a.py", {}),
        ("vendored", "a/copy.py", {"marks": ("vendored",)}),
        ("generated", "a_pb2.py", {"marks": ("generated",)}),
        ("generated", "dist/a.py", {}),
        ("docs", "a.md", {"kind": "docs"}),
        ("config", "a.toml", {"kind": "config"}),
        ("declaration", "a.pyi", {}),
        ("history", "CHANGELOG.md", {"kind": "docs"}),
    ],
)
@pytest.mark.parametrize("text", ["retry policy", '"retry policy"'])
def test_what_is_aside_comes_behind_an_equal_file_and_that_can_be_switched_off(share, path, fields, text):
    aside, plain = candidate(path, **fields), plain_beside(path)
    assert order(text, aside, plain) == [plain.path, path]
    off = {share, *(("docs",) if share == "history" else ())}
    # Of exact queries, benchmarks go with examples, settings with documents, and tests are no rule.
    off |= {"example"} if share == "benchmark" else {"docs"} if share == "config" else {"test"}
    assert order(text, aside, plain, off={*off, "name", "language"}) == [path, plain.path]


@pytest.mark.parametrize(
    ("text", "path", "fields"),
    [
        ("unit tests of the retry policy", "tests/a.py", {}),
        ("example of a retry policy", "examples/a.py", {}),
        ("retry benchmark", "bench/a.py", {}),
        ("retry policy documentation", "a.md", {"kind": "docs"}),
        ("retry configuration yaml", "a.yaml", {"kind": "config"}),
        ("vendored retry", "vendor/a.py", {}),
    ],
)
def test_a_question_that_asks_for_a_role_lifts_its_demotion(text, path, fields):
    assert order(text, candidate(path, **fields), plain_beside(path))[0] == path


def test_a_long_text_that_only_mentions_tests_does_not_ask_for_them():
    issue = "retry policy fails\nsteps: run the test suite, see the docs and the example"
    query = parse(issue)
    assert features.question_of(query, ("retri",)).wanted == frozenset()


def test_a_path_filter_that_names_a_role_lifts_its_demotion():
    query = parse("retry path:tests/**")
    question = features.question_of(query, ("retri",), query.values("path"))
    assert features.TEST in question.wanted


def test_a_question_that_is_one_name_has_types_before_functions_before_mentions():
    mention = candidate("a.py", content=9.0)
    function = candidate("b.py", symbols=[("Retry", "function")])
    type_ = candidate("c.py", symbols=[("Retry", "class")])
    other = candidate("d.py", symbols=[("RetryPolicy", "class")], content=8.0)
    found = order("Retry", mention, function, other, type_)
    assert found[:2] == ["c.py", "b.py"]
    assert set(found[2:]) == {"a.py", "d.py"}
    assert order("Retry", mention, function, type_, off={"definer", "symbols"})[0] == "a.py"


def test_a_definition_in_an_example_comes_behind_one_in_the_source_and_before_mentions():
    example = candidate("examples/a.py", symbols=[("Retry", "class")], content=9.0)
    function, mention = candidate("b/b.py", symbols=[("Retry", "function")]), candidate("c/c.py", content=9.0)
    assert order("Retry", mention, example, function) == ["b/b.py", "examples/a.py", "c/c.py"]


def test_a_heading_or_key_of_that_name_defines_nothing():
    heading = candidate("a.md", kind="docs", symbols=[("Retry", "heading")], content=9.0)
    assert order("Retry", heading, candidate("b.py", symbols=[("Retry", "function")])) == ["b.py", "a.md"]


def test_the_file_of_that_name_comes_before_other_parts_of_the_same_type():
    part = candidate("a/Retry.Json.cs", language="csharp", symbols=[("Retry", "class")], content=9.0)
    assert (
        order("Retry", part, candidate("b/Retry.cs", language="csharp", symbols=[("Retry", "class")]))[0]
        == "b/Retry.cs"
    )


def test_a_plain_word_that_is_also_a_name_is_a_question_first():
    definer = candidate("a.py", symbols=[("retry", "function")], content=1.0, names=0.1)
    answer = candidate("b.py", content=50.0, names=0.0)
    assert order("retry", definer, answer)[0] == "b.py"
    assert order("Retry", definer, answer)[0] == "a.py"


def test_a_qualified_name_prefers_its_container():
    one = candidate("a.rb", symbols=[("Base", "class")], breadcrumb="a.rb › Rack › Base")
    two = candidate("b.rb", symbols=[("Base", "class")], breadcrumb="b.rb › Sinatra › Base")
    module = candidate("c.ex", symbols=[("Phoenix.Router", "module")])
    assert order("Sinatra::Base", one, two, module) == ["b.rb", "a.rb", "c.ex"]
    assert order("Router", one, two, module)[0] == "c.ex"


def test_a_name_is_preferred_where_its_capitals_agree():
    function = candidate("a.ex", symbols=[("router", "function")], content=6.0)
    type_ = candidate("b.ex", symbols=[("Router", "module")])
    assert order("Router", function, type_) == ["b.ex", "a.ex"]


def test_a_name_in_a_longer_question_prefers_the_chunk_that_defines_it():
    use, definition = candidate("a.py", content=5.2), candidate("b.py", symbols=[("parse_header", "function")])
    assert order("where is parse_header called", use, definition) == ["b.py", "a.py"]


def test_several_good_chunks_make_a_file_better():
    single = candidate("a.py", content=5.5)
    several = [candidate("b.py", start) for start in (1, 11, 21)]
    assert order("retry policy", single, *several)[0] == "b.py"
    assert order("retry policy", single, *several, off={"words"})[0] == "a.py"


def test_a_file_named_after_the_question_is_better():
    assert (
        order("retry policy of requests", candidate("a.py"), candidate("z/retry_policy.py"))[0] == "z/retry_policy.py"
    )
    assert order("retry policy of requests", candidate("a.py"), candidate("retry_policy/index.ts"))[0] == (
        "retry_policy/index.ts"
    )


def test_vectors_count_beside_words():
    near, far = candidate("z.py", cosine=0.8), candidate("a.py", cosine=0.1)
    assert order("retry policy", far, near) == ["z.py", "a.py"]
    assert order("retry policy", far, near, off={"vectors"}) == ["a.py", "z.py"]


def test_equal_files_are_in_order_of_repository_and_path_whatever_order_they_come_in():
    files = [candidate(path, repo=repo) for repo in ("b", "a") for path in ("y.py", "x.py")]
    for given in (files, files[::-1]):
        query = parse("retry policy")
        ranked = rank.rank(features.question_of(query, ("retri",)), given, WEIGHTS)
        found = [(one.best.candidate.repo, one.best.candidate.path) for one in ranked]
        assert found == [("a", "x.py"), ("a", "y.py"), ("b", "x.py"), ("b", "y.py")]


def test_no_candidates_give_no_files():
    assert order("retry") == []


@pytest.mark.parametrize("features_of", rank.feature_sets(), ids=lambda one: one.name)
def test_every_feature_has_a_reason_a_group_and_its_own_name_and_only_features_have_weights(features_of):
    names = [feature.name for feature in features_of.features]
    assert len(set(names)) == len(names)
    assert not set(names) & {*rank.RULES, *(feature.group for feature in features_of.features)}
    assert all(feature.reason and feature.group for feature in features_of.features)
    weights = weights_of(features_of.name)
    assert set(weights.values) <= set(names)


@pytest.mark.parametrize("features_of", rank.feature_sets(), ids=lambda one: one.name)
def test_weights_have_the_digest_that_the_report_on_them_names(features_of):
    weights = weights_of(features_of.name)
    assert digest(weights.values) == weights.digest
    assert f"digest `{weights.digest}`" in (REPORTS / f"{features_of.name}.md").read_text(encoding="utf-8")


def test_nothing_is_better_for_being_aside():
    roles = {feature.name for feature in SHORT.features if feature.group == "role"}
    assert all(weights_of("short").values.get(name, 0.0) <= 0 for name in roles)


def test_the_shares_are_weight_times_value_and_add_up_to_the_score():
    files = [
        candidate("src/retry_policy.py", symbols=[("RetryPolicy", "class")], cosine=0.5),
        candidate("tests/a.py", cosine=0.2),
        candidate("web/socket.py", 30, content=1.0, cosine=0.1),
    ]
    question = question_about("RetryPolicy")
    ranked = rank.rank(question, files, WEIGHTS)
    for file, row in zip(ranked, SHORT.rows(question, ranked), strict=True):
        assert file.score == pytest.approx(sum(file.shares.values()))
        for feature, value in zip(SHORT.features, row, strict=True):
            weight = weights_of("short").values.get(feature.name, 0.0)
            assert file.shares.get(feature.name, 0.0) == pytest.approx(weight * value)
    assert ranked[0].shares["definer"] >= rank.DEFINER
    assert ranked[-1].shares["tests_last"] == rank.TESTS_LAST


@pytest.mark.parametrize(
    ("text", "path", "feature", "value"),
    [
        ("how requests are retried", "net/retry.py", "name_share", 1.0),
        ("how requests are retried", "net/retry_queue.py", "name_share", 0.5),
        ("how requests are retried", "net/retry_queue.py", "name_rest", 1.0),
        ("how requests are retried", "retry/index.ts", "name_share", 1.0),
        ("web socket upgrade", "net/websocket.py", "name_joined", 1.0),
        ("configuration of retries", "net/config.py", "name_abbreviates", 1.0),
        ("where the context is kept", "net/ctx.py", "name_abbreviates", 0.8),
        ("cross origin resource sharing", "middleware/cors/index.ts", "name_acronym", 1.0),
        ("retry policy of requests", "net/policy.py", "name_first", 0.5),
        ("retry policy of requests", "net/policy.py", "name_last", 2 / 3),
        ("retry policy of requests", "retry/policy.py", "folder_names", 1 / 3),
        ("retry policy", "include/x.hpp", "header", 1.0),
    ],
)
def test_what_a_name_says_about_a_question(text, path, feature, value):
    question = question_about(text)
    row = SHORT.rows(question, collapsed(question, [candidate(path)], WEIGHTS))[0]
    assert dict(zip([one.name for one in SHORT.features], row, strict=True))[feature] == pytest.approx(value)


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ("config", "configuration", 1.0),
        ("context", "ctx", 0.8),
        ("io", "ion", 0.0),
        ("cat", "ctx", 0.0),
        ("a", "a", 0.0),
    ],
)
def test_abbreviations_are_beginnings_or_consonants(one, other, value):
    assert abbreviation(one, other) == value


def test_a_repositorys_own_name_is_left_out_of_its_questions_and_kept_when_it_is_all():
    assert own_name_terms("github.com/bats-core/bats-core") == {"bat", "core", "batscor"}
    asked = question_terms("how bats formats results", {"github.com/bats-core/bats-core"})
    assert asked == question_terms("how formats results", set())
    assert question_terms("gson", {"github.com/google/gson"}) == ("gson",)
    assert "bat" in question_terms("how bats formats", {"github.com/bats-core/bats-core", "github.com/a/b"})


def test_ranking_changes_no_candidate():
    given = candidate("a.py", symbols=[("Retry", "class")], cosine=0.5)
    before = dataclasses.replace(given)
    order("Retry", given)
    assert given == before


def test_files_of_several_repositories_are_ranked_by_the_weights_for_many():
    question = question_about("retry policy")
    assert rank.feature_set_of(question, 1).name == "short"
    assert rank.feature_set_of(question, 2).name == "many"
    one, other = candidate("a.py", repo="github.com/a/a"), candidate("a.py", repo="github.com/b/b", content=9.0)
    shares = [set(file.shares) for file in rank.rank(question, [one, other], WEIGHTS)]
    assert all("repository_words" in names for names in shares)
    assert not any(
        name.startswith("repository") for file in rank.rank(question, [one], WEIGHTS) for name in file.shares
    )


def test_a_repository_whose_best_file_is_better_lifts_its_other_files():
    weak = [candidate("z.py", repo=repo, content=2.0) for repo in ("github.com/a/a", "github.com/b/b")]
    strong = candidate("strong.py", repo="github.com/b/b", content=60.0, cosine=0.9)
    ranked = rank.rank(question_about("retry policy"), [*weak, strong], WEIGHTS)
    assert [file.best.candidate.repo for file in ranked] == ["github.com/b/b", "github.com/b/b", "github.com/a/a"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Returns the median of a list", "described"),
        ("validates the message buffer by means of a key", "described"),
        ("String that is written for a date", "described"),
        (
            "which handlers parse multipart bodies, keep files and throw away temporary folders after errors",
            "described",
        ),
        ("how the median of a list is found", "short"),
        ("parsing the body of a multipart request", "short"),
        ("median of a list", "short"),
        ("request retry policy with exponential backoff", "short"),
        ("RetryPolicy", "short"),
        ("If", "short"),
    ],
)
def test_a_sentence_and_very_many_words_are_a_description_and_topics_and_questions_are_none(text, name):
    assert rank.feature_set_of(question_about(text)).name == name
    assert rank.feature_set_of(question_about(text), 2).name == "many"


def test_a_description_is_answered_by_its_words_rather_than_by_the_name_of_a_file():
    text = "Returns the middle value of a sorted list of numbers"
    does = candidate("stats/central.py", content=12.0, symbols=[("middle_value", "function")])
    named = candidate("list/numbers.py", content=8.0)
    assert order(text, named, does) == ["stats/central.py", "list/numbers.py"]
    assert order("numbers list", named, does) == ["list/numbers.py", "stats/central.py"]


def test_a_defined_name_tells_more_when_few_files_have_its_words():
    question = question_about("Returns the entropy of a value")
    common = [candidate(f"{at}.py", symbols=[("value", "function")]) for at in range(4)]
    rare = candidate("rare.py", symbols=[("entropy", "function")])
    files = collapsed(question, [*common, rare], WEIGHTS)
    at = [feature.name for feature in DESCRIBED.features].index("symbol_tells")
    values = {
        file.best.candidate.path: row[at] for file, row in zip(files, DESCRIBED.rows(question, files), strict=True)
    }
    assert values["rare.py"] > 1.5 * values["0.py"] > 0


def test_what_is_aside_counts_for_descriptions_as_for_short_questions():
    short, described = weights_of("short").values, weights_of("described").values
    roles = [feature.name for feature in DESCRIBED.features if feature.group == "role"]
    assert [described[name] for name in roles] == [short[name] for name in roles]
