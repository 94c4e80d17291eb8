"""An empty answer says why it is empty and what would match."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE, publish
from conftest import API

from codequarry.search import Engine, empty
from codequarry.store.embedded import EmbeddedStore


def told(engine, query, **options):
    answer = engine.search(query, **options)
    assert answer.hits == [] and answer.notes
    return " ".join(answer.notes)


def test_an_index_with_nothing_in_it(tmp_path):
    store = EmbeddedStore(tmp_path / "index", create=True)
    assert "codequarry index" in told(Engine(store, EMBEDDER), "backoff")
    store.prepare(EMBEDDER, RECIPE)
    assert "codequarry index" in told(Engine(store, EMBEDDER), "backoff")
    with store.publish(API):
        assert "being indexed for the first time" in told(Engine(store, EMBEDDER), "backoff")
    publish(store, API, {})
    assert "no indexed file" in told(Engine(store, EMBEDDER), "backoff")
    store.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("backoff repo:nowhere", "No repository matches repo:nowhere"),
        ("backoff repo:acme/apl", "did you mean github.com/acme/api"),
        ("backoff branch:devel repo:acme/api", "did you mean dev"),
        ("backoff branch:nightly repo:acme/api", "there is dev and main"),
        ("backoff lang:pyhton", "No language is called pyhton; did you mean python"),
        ("backoff lang:rust", "lang:rust leaves nothing: without it there are hits"),
        ("backoff path:src/clent.py", "did you mean client.py"),
        ("backoff path:http/server.go", "path:**/http/server.go has src/http/server.go"),
        ("backoff kind:interface", "Nothing is of kind:interface; there are class, code, config, docs, function"),
        ("kind:fucntion", "Nothing is of kind:fucntion; did you mean function?"),
        ("kind:klass lang:python", "Nothing is of kind:klass; did you mean class?"),
        ("backoff kind:class lang:go", "kind:class leaves nothing: without it there are hits"),
        ("symbol:retrypolicy", "Nothing defines symbol:retrypolicy; did you mean RetryPolicy?"),
        ("symbol:retry_policy", "did you mean RetryPolicy?"),
        ("symbol:ListenAndSrve", "did you mean ListenAndServe?"),
        ("symbol:bakcoff", "did you mean backoff?"),
        ("symbol:Zzzz", "Nothing defines symbol:Zzzz."),
        ("symbol:backoff lang:go", "lang:go leaves nothing"),
        ("backoff -path:**", "-path:** leaves nothing"),
        ('"no such text anywhere"', 'Nothing satisfies "no such text anywhere"'),
        ('"def backoff" lang:go', "lang:go leaves nothing"),
        ("/zz+top/", "Nothing satisfies /zz+top/."),
        ('"class Nothing"', 'Nothing satisfies "class Nothing".'),
        ('"Exponential Backoff"', "Case counts; with other capitals there are hits: /(?i)Exponential Backoff/"),
        ("/FUNC ListenAndServe/", "Case counts; with other capitals there are hits: /(?i)FUNC ListenAndServe/"),
        ('policy "class Nothing"', '"class Nothing" leaves nothing: without it there are hits.'),
    ],
)
def test_the_filter_in_the_way_is_named_with_what_would_match(engine, query, says):
    assert says in told(engine, query)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("backoff lang:pyton", "No language is called pyton; did you mean python or cython?"),
        ("backoff path:src/nope/*.py", "No path matches path:src/nope/*.py."),
        ("backoff symbol:Zzzz", "Nothing defines symbol:Zzzz."),
        ("backoff path:src/http/*.go", "path:src/http/*.go leaves nothing: without it there are hits."),
        (
            "backoff path:src/http/*.go path:nope",
            "No path matches path:nope. path:src/http/*.go or nope leaves nothing: without it there are hits.",
        ),
    ],
)
def test_a_filter_that_nothing_at_all_satisfies_is_named_once(store, query, says):
    assert told(Engine(store), query) == says


def test_words_that_no_code_has_are_named_with_known_ones_one_letter_away(store):
    by_words = Engine(store)
    assert told(by_words, "polciy") == "No indexed code has the word polciy; did you mean policy?"
    assert told(by_words, "zzzzqqqq") == "No indexed code has the word zzzzqqqq."
    assert told(by_words, "zzzzqqqq qqqqzzzz") == "No indexed code has the words zzzzqqqq or qqqqzzzz."
    assert "the sources that are looked at" in told(by_words, "zzzzqqqq repo:acme/api")
    assert told(by_words, "ListenAndServe repo:group/api") == (
        "No code of the sources that are looked at has the word ListenAndServe."
        " What is looked at has none of these words; other repositories or branches have some."
    )
    found = by_words.search("backof polciy retry")
    assert found.hits and found.notes == []


def test_hits_by_vectors_alone_come_with_the_words_that_no_code_has(engine):
    answer = engine.search("polciy")
    assert answer.hits
    assert answer.notes == [
        "No indexed code has the word polciy; these hits are by meaning; did you mean policy or polish?"
    ] or answer.notes == ["No indexed code has the word polciy; these hits are by meaning; did you mean policy?"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "RetryPolicyQueue",
            "No indexed code has the word RetryPolicyQueue; these hits are by its parts and by meaning",
        ),
        ("ListenAndSrve", "did you mean ListenAndServe?"),
        ("listen_and_srve", "did you mean ListenAndServe?"),
        ("Client.sendAll", "No indexed code has the word sendAll"),
        ("RetryPolicy lang:go", "Nothing that is looked at has these words; these hits are by meaning."),
        (
            "ListenAndServe path:vendor/** path:src/retry.py exponential_backoff",
            "No indexed code has the word exponential_backoff; these hits are by the other words and by meaning",
        ),
        (
            "copied ListenAndServe path:vendor/**",
            "Nothing within the filters has the word ListenAndServe; these hits are by the other words and by meaning.",
        ),
        ("where is retryQueue emptied", "has the word retryQueue; these hits are by the other words and by meaning"),
    ],
)
def test_a_name_that_no_code_has_is_told_though_there_are_hits(engine, query, says):
    answer = engine.search(query)
    assert answer.hits and says in " ".join(answer.notes)


@pytest.mark.parametrize(
    "query", ["RetryPolicy", "retry_policy", "Client.send", "how does RetryPolicy wait", "backoff"]
)
def test_a_name_that_some_code_has_is_not_remarked_on(engine, query):
    assert engine.search(query, limit=1).notes == []


def test_the_query_that_is_offered_for_other_capitals_finds_them(engine):
    (offered,) = [note for note in engine.search('"EXPONENTIAL backoff, COPIED"').notes if "capitals" in note]
    assert [hit.path for hit in engine.search(offered.partition("hits: ")[2]).hits] == ["vendor/retry/retry.py"]


def test_of_names_with_the_same_letters_the_one_that_is_written_most_alike_is_offered():
    known = ["_get_argument", "get_argument", "getArgument", "get_arguments", "set_cookie"]
    assert empty.names_near("get_argumnt", known) == ["get_argument", "get_arguments"]
    assert empty.names_near("_getargument", known) == ["_get_argument"]
    assert empty.names_near("GetArgument", known) == ["getArgument"]
    assert empty.names_near("get_argument", ["get_argument"]) == []


def test_a_caller_who_sees_nothing_is_told_nothing_else(engine):
    assert told(engine, "backoff", access=()) == (
        "Nothing is indexed here that you may see; `codequarry index PATH` adds a folder or a repository."
    )


def test_a_note_on_a_likely_misspelt_filter_stands_in_the_answer(engine):
    assert any("did you mean path:?" in note for note in engine.search("backoff paths:src").notes)
