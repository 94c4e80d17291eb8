"""An empty answer says why it is empty and what would match."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE, publish
from conftest import API

from codequarry.search import Engine
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
        ("backoff path:src/http/*.py", "path:src/http/*.py leaves nothing"),
        ("backoff path:src/clent.py", "did you mean client.py"),
        ("backoff path:http/server.go", "path:**/http/server.go has src/http/server.go"),
        ("backoff kind:interface", "kind:interface leaves nothing"),
        ("backoff -path:**", "-path:** leaves nothing"),
        ('"no such text anywhere"', 'Nothing satisfies "no such text anywhere"'),
        ('"def backoff" lang:go', "lang:go leaves nothing"),
        ("/zz+top/", "Nothing satisfies /zz+top/"),
    ],
)
def test_the_filter_in_the_way_is_named_with_what_would_match(engine, query, says):
    assert says in told(engine, query)


def test_words_that_stand_nowhere_are_named_with_known_ones_one_letter_away(store):
    by_words = Engine(store)
    assert "did you mean policy?" in told(by_words, "polciy")
    assert "zzzzqqqq stands nowhere" in told(by_words, "zzzzqqqq")
    found = by_words.search("backof polciy retry")
    assert found.hits and not any("nowhere" in note for note in found.notes)


def test_hits_by_vectors_alone_come_with_the_words_that_stand_nowhere(engine):
    answer = engine.search("polciy")
    assert any("polciy stands nowhere" in note for note in answer.notes)


def test_a_caller_who_sees_nothing_is_told_nothing_else(engine):
    assert told(engine, "backoff", access=()) == (
        "Nothing is indexed here that you may see; `codequarry index PATH` adds a folder or a repository."
    )


def test_a_note_on_a_likely_misspelt_filter_stands_in_the_answer(engine):
    assert any("did you mean path:?" in note for note in engine.search("backoff paths:src").notes)
