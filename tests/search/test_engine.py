"""Searching a real index: what is found, in which order, how it is cited, and what the answer says beside the hits."""

from __future__ import annotations

import subprocess
import sys

import pytest
from builders import EMBEDDER, RECIPE, publish
from conftest import API, API_FILES

from codequarry.errors import BadInput, ModelError, ModelMismatch, PathNotFound, QuerySyntax, RepositoryNotFound
from codequarry.models import open_embedder
from codequarry.search import Engine
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Skipped, Source


def paths(answer):
    return [hit.path for hit in answer.hits]


def test_a_question_finds_the_code_before_its_copies_tests_and_documents(engine):
    answer = engine.search("exponential backoff of retries", repo="acme/api")
    assert paths(answer)[0] == "src/retry.py"
    assert {"README.md", "vendor/retry/retry.py", "CHANGELOG.md"} <= set(paths(answer))


def test_a_hit_says_where_its_lines_stand(engine):
    hit = engine.search("backoff", repo="acme/api").hits[0]
    assert (hit.repo, hit.branch, hit.commit, hit.path) == ("github.com/acme/api", "main", "c" * 40, "src/retry.py")
    lines = API_FILES["src/retry.py"].split("\n")
    assert hit.text == "\n".join(lines[hit.start_line - 1 : hit.end_line])
    assert hit.url == f"https://github.com/acme/api/blob/{'c' * 40}/src/retry.py#L{hit.start_line}-L{hit.end_line}"
    assert hit.language == "python" and hit.kind == "code" and not hit.modified
    assert all("backoff" in lines[number - 1] for number in hit.matched_lines) and hit.matched_lines


def test_a_file_is_one_hit_with_its_other_chunks_inside(engine):
    answer = engine.search("retry policy wait attempt backoff", repo="acme/api", path="src")
    assert len(paths(answer)) == len(set(paths(answer)))
    hit = answer.hits[0]
    spans = [(snippet.start_line, snippet.end_line) for snippet in hit.snippets]
    assert hit.path == "src/retry.py" and spans and (hit.start_line, hit.end_line) not in spans


def test_a_name_alone_puts_its_definer_first_and_the_copy_after(engine):
    assert paths(engine.search("RetryPolicy", repo="acme/api"))[:2] == ["src/retry.py", "src/client.py"]
    assert paths(engine.search("ListenAndServe"))[0] == "src/http/server.go"


def test_a_file_in_an_edited_folder_is_cited_with_its_branch_and_has_no_link(engine):
    hit = engine.search("polish stone").hits[0]
    assert (hit.repo, hit.branch, hit.modified, hit.url) == ("local//home/me/tool", "main", True, "")


def test_the_same_code_in_two_repositories_is_one_hit(engine):
    answer = engine.search("RetryPolicy wait attempt")
    hit = next(hit for hit in answer.hits if hit.path in ("src/retry.py", "lib/waiting.py"))
    assert {hit.path, *(place["path"] for place in hit.also_in)} == {"src/retry.py", "lib/waiting.py"}
    assert len([path for path in paths(answer) if path in ("src/retry.py", "lib/waiting.py")]) == 1


def test_phrases_and_regexes_are_exact_and_decide_alone(engine):
    assert set(paths(engine.search('"exponential backoff, copied"'))) == {"vendor/retry/retry.py"}
    assert set(paths(engine.search(r"/func \w+\(addr/"))) == {"src/http/server.go"}
    assert paths(engine.search('"Exponential Backoff"')) == []


def test_exact_matches_have_definitions_first_then_mentions_then_tests(engine):
    assert paths(engine.search('"backoff" lang:python', repo="acme/api")) == [
        "src/retry.py",
        "vendor/retry/retry.py",
        "tests/test_retry.py",
    ]


def test_the_lines_that_a_pattern_matches_are_told(engine):
    hit = engine.search('"def backoff"', repo="acme/api", path="src").hits[0]
    assert hit.matched_lines == (5,)


def test_filters_alone_list_what_they_let_pass(engine):
    assert paths(engine.search("path:*.toml")) == ["conf/retry.toml"]
    assert paths(engine.search("symbol:ListenAndServe")) == ["src/http/server.go"]
    assert paths(engine.search("kind:docs")) == ["CHANGELOG.md", "README.md"]
    assert "src/retry.py" not in paths(engine.search("-backoff lang:python repo:acme/api"))


def test_filters_narrow_a_question(engine):
    assert set(paths(engine.search("retry backoff lang:markdown"))) == {"README.md", "CHANGELOG.md"}
    assert "tests/test_retry.py" not in paths(engine.search("backoff -path:tests"))
    assert {hit.branch for hit in engine.search("jitter branch:dev").hits} == {"dev"}
    assert not any("jitter" in hit.text for hit in engine.search("jitter").hits)


def test_a_question_about_tests_finds_tests(engine):
    assert paths(engine.search("backoff", repo="acme/api")).index("tests/test_retry.py") > 0
    assert paths(engine.search("test of backoff", repo="acme/api"))[0] == "tests/test_retry.py"


def test_pages_follow_each_other_without_gap_or_repetition(engine):
    whole = paths(engine.search("retry backoff", repo="acme/api"))
    turned, cursor = [], None
    while True:
        page = engine.search("retry backoff", repo="acme/api", limit=2, cursor=cursor)
        turned += paths(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert turned == whole


def test_asking_twice_gives_the_same_answer(engine):
    one, two = engine.search("retry policy"), engine.search("retry policy")
    assert one.hits == two.hits and one.notes == two.notes


def test_an_explanation_has_ranks_scores_and_shares_that_add_up(engine):
    for query in ("exponential backoff", "RetryPolicy", '"backoff"'):
        for hit in engine.search(query, explain=True).hits:
            assert sum(hit.why["signals"].values()) == pytest.approx(hit.score)
            assert set(hit.why) == {"words", "vectors", "signals"}
    first = engine.search("exponential backoff", explain=True).hits[0].why
    assert first["words"]["score"] == pytest.approx(
        first["words"]["content"] + 0.8 * first["words"]["path"] + 0.4 * first["words"]["names"]
    )
    assert engine.search("exponential backoff").hits[0].why == {}


def test_a_signal_that_is_switched_off_gives_nothing(engine):
    answer = engine.search("exponential backoff", explain=True, off={"tests_last", "words"})
    assert not any({"tests_last", "body", "coherence"} & set(hit.why["signals"]) for hit in answer.hits)


def test_times_are_told_for_each_step(engine):
    answer = engine.search("backoff")
    assert {"query", "embed", "retrieve", "rank", "snippets"} <= set(answer.times_ms)
    assert answer.took_ms > 0


def test_only_sources_of_the_callers_groups_are_found_or_named(engine):
    assert "gitlab.example.org/group/api" not in {
        hit.repo for hit in engine.search("RetryPolicy", access=("guests",)).hits
    }
    hidden = engine.search("RetryPolicy repo:group/api", access=("guests",))
    assert hidden.hits == [] and "gitlab" not in " ".join(hidden.notes)
    assert engine.search("RetryPolicy repo:group/api", access=("staff",)).hits
    assert engine.search("RetryPolicy", access=()).hits == []
    assert all(place["repo"] != "gitlab.example.org/group/api"
               for hit in engine.search("RetryPolicy", access=()).hits for place in hit.also_in)  # fmt: skip


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 101}, {"cursor": "x"}, {"cursor": "-1"}])
def test_a_limit_or_cursor_that_cannot_be_is_refused(engine, options):
    with pytest.raises(BadInput):
        engine.search("x", **options)


def test_bad_syntax_is_an_error_and_plain_text_is_not(engine):
    with pytest.raises(QuerySyntax):
        engine.search('"backoff')
    assert engine.search('"backoff', plain=True).hits


def test_a_question_is_not_embedded_with_another_model_than_the_index_has(store):
    with pytest.raises(ModelMismatch, match="hash:64") as mismatch:
        Engine(store, open_embedder("hash:32")).search("backoff")
    assert "--model hash:64" in mismatch.value.hint
    later = open_embedder("hash:64")
    later.fingerprint = "of another version"
    with pytest.raises(ModelMismatch, match="with another version of the model hash:64"):
        Engine(store, later).search("backoff")


class _Broken:
    """An embedder that cannot be used, as one on a machine without its model is."""

    name, dim, fingerprint, cached = "broken", 64, EMBEDDER.fingerprint, False

    def embed(self, texts):
        raise ModelError("the model is gone")

    def embed_question(self, text):
        raise ModelError("the model is gone")


def test_a_model_that_fails_costs_the_vectors_and_a_note(store):
    answer = Engine(store, _Broken()).search("exponential backoff", explain=True)
    assert answer.hits and any("the model is gone" in note for note in answer.notes)
    assert all(hit.why["vectors"]["cosine"] is None for hit in answer.hits)


def test_without_an_embedder_words_alone_are_searched(store):
    assert Engine(store).search("exponential backoff").hits


def test_pages_of_very_many_matches_follow_each_other(tmp_path):
    files = {f"pkg{n:03d}/mod.py": f"needle = {n}\n" for n in range(450)}
    with_many = EmbeddedStore(tmp_path / "index", create=True)
    with_many.prepare(EMBEDDER, RECIPE)
    publish(with_many, Source("github.com/a/many", "main"), files)
    engine = Engine(with_many, EMBEDDER)
    found, cursor = [], None
    while len(found) < 1000:
        page = engine.search("/^needle = /", limit=100, cursor=cursor)
        found += paths(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(files) and len(found) == len(files)
    with_many.close()


def test_an_exact_hit_says_how_many_more_places_match_and_shows_them_all_when_asked(tmp_path):
    # More chunks match than the first answer ranks, and in more repositories than one.
    lines = [f"needle = {n}" if n % 3 == 0 else f"hay = {n}" for n in range(240)]
    files = {"a[b]/{x}.py": "\n".join(lines), "needles.md": "needle = 1\n"} | {
        f"pkg{n:03d}/mod.py": f"needle = {n}\n" for n in range(200)
    }
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, Source("github.com/a/many", "main"), files)
    publish(store, Source("github.com/b/other", "main"), {"a[b]/{x}.py": "needle = 7\n", "only.py": "needle = 8\n"})
    engine = Engine(store, EMBEDDER)
    wanted = [number for number, line in enumerate(lines, 1) if line.startswith("needle")]

    def shown(hit):
        return sorted(number for piece in (hit, *hit.snippets) for number in piece.matched_lines)

    for query in ("/^needle = /", '"needle ="', 'needle "needle ="'):
        for path in ({}, {"path": "*.py"}, {"repo": "a/many"}):
            found = {}
            for hits in (
                engine.search(query, limit=100, **path).hits,
                engine.search(query, limit=100, cursor="100", **path).hits,
            ):
                found |= {(hit.repo, hit.path): hit for hit in hits}
            hit = found["github.com/a/many", "a[b]/{x}.py"]
            assert (len(hit.snippets), hit.more_matches) == (2, 60 - 3)
            assert all(one.more_matches == 0 for one in found.values() if one is not hit)
    (hit,) = engine.search("/^needle = /", repo="a/many", path="a?b?", all_matches=True).hits
    assert (hit.more_matches, shown(hit)) == (0, wanted)
    spans = [piece.start_line for piece in hit.snippets]
    assert spans == sorted(spans)
    assert engine.search("needle", path="a?b?").hits[0].more_matches == 0  # a question: there is no complete set
    assert "complete set" in engine.search("needle", all_matches=True).notes[0]
    store.close()


def test_a_file_of_very_many_matches_says_that_not_all_are_counted(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, API, {"many.py": "needle\n" * (4 * 2005), "few.py": "needle\n" * (4 * 300)})
    answer = Engine(store).search('"needle"', path="many.py")
    assert "These files have more than 2,000 matching chunks; not all are counted." in answer.notes
    assert Engine(store).search('"needle"', path="few.py").notes == []
    assert Engine(store).search('"needle"', path="few.py").hits[0].more_matches == 297
    store.close()


# ------------------------------------------------------------------------------------------------------------------ reading


def test_a_file_is_read_whole_or_by_lines(engine):
    assert engine.read("acme/api", "src/retry.py").text == API_FILES["src/retry.py"]
    assert engine.read("github.com/acme/api", "src/retry.py", start=5, end=6).text == (
        "def backoff(attempt):\n    # exponential backoff"
    )
    assert "jitter" in engine.read("acme/api", "src/retry.py", branch="dev").text


def test_a_file_that_is_not_there_is_an_error_with_what_comes_near(engine):
    with pytest.raises(PathNotFound, match=r"src/retry\.py"):
        engine.read("acme/api", "retry.py")
    with pytest.raises(PathNotFound, match=r"src/client\.py"):
        engine.read("acme/api", "src/clent.py")
    with pytest.raises(RepositoryNotFound, match="acme/api"):
        engine.read("acme/apo", "src/retry.py")
    with pytest.raises(BadInput):
        engine.read("acme/api", "src/retry.py", start=100)


def test_what_cannot_be_read_is_said_in_one_plain_sentence(engine):
    with pytest.raises(RepositoryNotFound) as missing:
        engine.read("me/tol", "tool.py")
    assert missing.value.message == "No repository matches me/tol; did you mean local//home/me/tool?"
    with pytest.raises(RepositoryNotFound) as missing:
        engine.read("acme/api", "src/retry.py", branch="nightly")
    assert missing.value.message == "No branch matches nightly; there is dev and main."
    with pytest.raises(PathNotFound) as missing:
        engine.read("tool", "nothing/at/all.rs")
    assert missing.value.message == "/home/me/tool has no file nothing/at/all.rs"


def test_a_file_that_was_left_out_is_named_with_the_reason(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    skipped = [Skipped("big.bin", "binary"), Skipped("big.csv", "too-large", "2,000,000 bytes")]
    publish(store, API, {"a.py": "def backoff():\n    pass\n"}, skipped=skipped)
    for path, why in (("big.bin", "binary"), ("big.csv", "too-large, 2,000,000 bytes")):
        with pytest.raises(PathNotFound) as missing:
            Engine(store).read("acme/api", path)
        assert missing.value.message == f"{path} of github.com/acme/api@main was left out of the index: {why}"
    store.close()


def test_importing_search_loads_nothing_slow():
    code = (
        "import sys, codequarry.search\n"
        "slow = {'numpy', 're2', 'pydantic', 'rich', 'typer', 'logging', 'difflib', 'urllib.parse', 'json', 'asyncio'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_index_that_an_answer_is_from_may_be_building(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, API, {"a.py": "def backoff():\n    pass\n"})
    with store.publish(API):
        answer = Engine(store, EMBEDDER).search("backoff")
        assert answer.hits and any("being indexed" in note for note in answer.notes)
    store.close()
