"""REST: search, prompt, file, and what is said of what is not found."""

from __future__ import annotations

import threading
from contextlib import closing
from urllib.parse import urlencode

import pytest
from builders import EMBEDDER, RECIPE, publish
from running import SHOP

from codequarry import connect
from codequarry.store.embedded import EmbeddedStore


def test_a_search_answers_what_the_library_answers(service):
    found = service.ask("POST", "/v1/search", {"query": "where are payments retried", "limit": 3, "explain": True}).json
    with connect(service.parts.backend.location) as quarry:
        expected = quarry.search("where are payments retried", limit=3, explain=True)
    assert [(hit["path"], hit["score"], hit["why"]) for hit in found["hits"]] == [
        (hit.path, hit.score, hit.why) for hit in expected.hits
    ]
    assert found["hits"][0]["path"] == "src/client.py"
    assert found["hits"][0]["url"].startswith("https://github.com/acme/shop/blob/")


def test_filters_hold_as_one_value_or_several(service):
    def paths(**filters):
        found = service.ask("POST", "/v1/search", {"query": "retry configuration", **filters}).json["hits"]
        return {hit["path"] for hit in found}

    assert paths(lang="go") == {"src/parse.go"}
    assert paths(lang=["go", "markdown"]) == {"src/parse.go", "README.md"}
    assert paths(path="src/**", lang=["python"]) == {"src/client.py"}
    assert paths(symbol="ParseConfig") == {"src/parse.go"}
    assert paths(branch="dev", path="src/new.py") == {"src/new.py"}


def test_a_filter_that_nothing_satisfies_gives_nothing_and_a_reason(service):
    found = service.ask("POST", "/v1/search", {"query": "retry", "repo": "acme/shops"}).json
    assert found["hits"] == []
    assert any("did you mean" in note for note in found["notes"])


def test_a_cursor_leads_through_all_hits_once(service):
    seen, cursor = [], None
    for _ in range(10):
        body = {"query": "path:**", "limit": 1} | ({"cursor": cursor} if cursor else {})
        found = service.ask("POST", "/v1/search", body).json
        seen += [hit["path"] for hit in found["hits"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted({*seen})
    assert {"src/client.py", "src/parse.go", "README.md"} <= set(seen)


def test_every_match_of_a_file_is_shown_when_asked(start, tmp_path):
    store = EmbeddedStore(tmp_path / "data" / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, SHOP, {"many.py": "".join(f"x = needle({n})\n\n\n\n" for n in range(9))})
    store.close()
    from running import Running

    from codequarry.settings import Settings

    with Running(Settings(tmp_path / "data", rate_limit=0)) as service:
        (hit,) = service.ask("POST", "/v1/search", {"query": '"needle("'}).json["hits"]
        assert (len(hit["snippets"]), hit["more_matches"]) == (2, 6)
        (hit,) = service.ask("POST", "/v1/search", {"query": '"needle("', "all_matches": True}).json["hits"]
        assert (len(hit["snippets"]), hit["more_matches"]) == (8, 0)
        with connect(f"codequarry+{service.url}") as quarry:
            (hit,) = quarry.search('"needle("', all_matches=True).hits
            assert len(hit.snippets) == 8


def test_other_sides_of_a_file_are_related_to_its_hit_with_their_own_places(tmp_path):
    store = EmbeddedStore(tmp_path / "data" / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    files = {"src/ring.c": "int ring_wait(void) { return overflow; }\n", "include/ring.h": "int ring_wait(void);\n"}
    publish(store, SHOP, files)
    store.close()
    from running import Running

    from codequarry.settings import Settings

    issue = "The ring overflows\n\nafter ring_wait"
    with Running(Settings(tmp_path / "data", rate_limit=0)) as service:
        (hit,) = service.ask("POST", "/v1/search", {"query": issue}).json["hits"]
        (header,) = hit["related"]
        assert (hit["path"], header["path"], header["text"]) == ("src/ring.c", "include/ring.h", "int ring_wait(void);")
        with connect(f"codequarry+{service.url}") as quarry, connect(service.parts.backend.location) as local:
            assert quarry.search(issue).hits == local.search(issue).hits
        cited = service.ask("POST", "/v1/prompt", {"question": issue}).json["blocks"]
        assert [block["path"] for block in cited] == ["src/ring.c", "include/ring.h"]
        page = service.ask("GET", "/?" + urlencode({"q": issue})).body.decode()
        assert page.count('<li class="card"') == 1 and "include/ring.h</bdi>:1-1</a>" in page

        from codequarry.service.security import Caller
        from codequarry.service.tools import TOOLS

        tool = next(tool for tool in TOOLS if tool.name == "search_code")
        told = tool.answer(service.parts.backend, Caller("a", frozenset({"search"})), tool.arguments(query=issue))
        assert [one.path for one in told.result.hits[0].related] == ["include/ring.h"]
        assert "\n   related include/ring.h:1-1" in told.text


def test_a_misspelt_filter_is_refused_and_finds_nothing(service):
    reply = service.ask("POST", "/v1/search", {"query": "retry", "repos": "acme/shop"})
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["errors"] == [{"at": "body.repos", "says": "Extra inputs are not permitted"}]


def test_a_query_that_cannot_be_read_says_where(service):
    problem = service.ask("POST", "/v1/search", {"query": 'retry "open'}).json
    assert (problem["status"], problem["code"], problem["position"]) == (400, "query_syntax", 6)
    assert problem["hint"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"query": 1}',
        b'{"query": ""}',
        b'{"query": "\\ud800"}',
        b'{"query": "x", "limit": 0}',
        b'{"query": "x", "limit": 101}',
        b'{"query": "x", "limit": 1e999}',
        b'{"query": "x", "cursor": "-1"}',
        b'{"query": "x", "path": "[z-a]"}',
        b'{"query": "/(/"}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"query": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_cannot_be_read_is_the_callers_error(service, body):
    reply = service.ask("POST", "/v1/search", raw=body)
    assert reply.status == 400, reply.body
    assert reply.json["detail"]


def test_a_prompt_keeps_its_budget_and_cites(service):
    found = service.ask("POST", "/v1/prompt", {"question": "how is a payment retried?", "budget": 300}).json
    assert found["tokens"] <= 300
    assert "src/client.py" in found["text"]
    assert {block["repo"] for block in found["blocks"]} == {SHOP.repo}


def test_a_file_comes_whole_or_in_part(service):
    whole = service.ask("GET", "/v1/file?repo=acme/shop&path=src/client.py").json
    assert (whole["start_line"], whole["end_line"]) == (1, 12)
    part = service.ask("GET", "/v1/file?repo=acme/shop&path=src/client.py&start_line=4&end_line=5").json
    assert part["text"] == "\n".join(whole["text"].split("\n")[3:5])
    assert (part["repo"], part["branch"], part["commit"]) == (SHOP.repo, "main", "c" * 40)
    assert service.ask("GET", "/v1/file?repo=acme/shop&path=src/client.py&start_line=5&end_line=4").status == 400


def test_a_file_that_is_not_there_is_told_with_what_comes_near(service):
    problem = service.ask("GET", "/v1/file?repo=acme/shop&path=src/klient.py").json
    assert (problem["status"], problem["code"]) == (404, "path_not_found")
    assert "src/client.py" in problem["detail"]
    assert service.ask("GET", "/v1/file?repo=acme/nothing&path=x").json["code"] == "repository_not_found"


def test_a_path_that_is_no_utf8_is_found_and_shown_escaped(service):
    odd = "b\udce9t.py"
    with closing(EmbeddedStore(service.parts.backend.location)) as store:
        publish(store, SHOP, {odd: "def beast():\n    return 1\n"})
    (hit,) = service.ask("POST", "/v1/search", {"query": "symbol:beast"}).json["hits"]
    assert hit["path"] == odd
    assert service.ask("GET", "/v1/file?repo=acme/shop&path=b%E9t.py").json["text"].startswith("def beast")


def test_an_unknown_path_or_method_is_a_problem_too(service):
    for method, target, status in (("GET", "/v1/nothing", 404), ("PUT", "/v1/search", 405), ("GET", "/nothing", 404)):
        reply = service.ask(method, target)
        assert reply.status == status
        assert reply.json["status"] == status
        assert reply.headers["Content-Type"] == "application/problem+json"


def test_a_request_id_is_taken_over_and_one_that_is_none_is_not(service):
    assert service.ask("GET", "/v1/health", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    given = service.ask("POST", "/v1/search", {}, headers={"X-Request-Id": 'x"; y'})
    assert given.headers["X-Request-Id"] == given.json["request_id"] != 'x"; y'


def test_an_index_that_is_not_there_yet_is_no_error(start):
    service = start(index=False)
    found = service.ask("POST", "/v1/search", {"query": "retry"}).json
    assert found["hits"] == []
    assert any("Nothing is indexed" in note for note in found["notes"])
    assert service.ask("GET", "/v1/repositories").json == {"repositories": [], "total": 0, "next_cursor": None}
    with closing(EmbeddedStore(service.parts.backend.location, create=True)) as store:
        store.prepare(EMBEDDER, RECIPE)
        publish(store, SHOP, {"a.py": "def retry():\n    pass\n"})
    assert service.ask("POST", "/v1/search", {"query": "retry"}).json["hits"][0]["path"] == "a.py"


def test_many_ask_at_once_while_the_index_changes(service):
    """Every answer shows a file in one of its versions: the store is opened once and shared by the threads."""
    versions = [{"a.py": f"def alpha():\n    return {number}\n"} for number in range(2)]
    wrong, done = [], threading.Event()

    def ask():
        while not done.is_set():
            reply = service.ask("POST", "/v1/search", {"query": "alpha", "path": "a.py"})
            texts = [hit["text"] for hit in reply.json.get("hits", ())]
            if reply.status != 200 or not set(texts) <= {version["a.py"].rstrip("\n") for version in versions}:
                wrong.append(reply.body)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    with closing(EmbeddedStore(service.parts.backend.location)) as store:
        for number in range(12):
            publish(store, SHOP, versions[number % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_answers_are_written_as_other_json_is_whatever_they_hold():
    from codequarry.service.records import dumps
    from codequarry.service.routes import encoded
    from codequarry.types import Answer, Hit, Snippet, Symbol

    odd = ["src/a.py", "naïve/é.py", "caf\udce9.py", "del\x7f.py", "tab\t\u2028\U0001f600\0.py"]
    for path in odd:
        hit = Hit(
            "example.org/a", "c" * 40, "main", path, 1, 2, "python", "f", "code", 0.1 + 0.2, "", False, f"# {path}\n"
        )
        hit.snippets = [Snippet(3, 4, "x\n", "", "code", "", (3,))]
        hit.why = {"words": {"rank": None, "score": 1e-17}}
        answer = Answer("q", [hit], ["a note"], 1, None, 1.5, {"store.words": 0.25})
        for value in (answer, Symbol("f", "function", 1), {"paths": [path], "big": 1 << 70}):
            assert encoded(value) == dumps(value).encode(), path


def test_the_short_way_into_a_route_answers_as_the_frameworks_own_does(keyed):
    """A body that is not as usual goes the long way; both say the same, of scopes too."""
    bodies = [
        b'{"query": "retry", "limit": 2}',
        b'{"query": "retry", "limit": 0}',
        b'{"query": "retry", "repos": "x"}',
        b'{"query": "caf\\udce9", "limit": 1}',
        b'{"query": "retry", "plain": 1}',
        b'{"query": ',
        b"[]",
        b"",
    ]
    for scope in ("search", "read"):
        for body in bodies:
            short, long = (
                keyed.ask("POST", "/v1/search", raw=body, key=keyed.keys[scope], headers={"Content-Type": kind})
                for kind in ("application/json", "application/json; charset=utf-8")
            )
            assert short.status == long.status, (scope, body)
            changes = ("took_ms", "times_ms", "request_id")
            assert {name: value for name, value in short.json.items() if name not in changes} == {
                name: value for name, value in long.json.items() if name not in changes
            }
