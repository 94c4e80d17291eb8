"""Readers keep the rows of sources for some seconds: what they see while another process publishes, at every step of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from builders import blob_of, publish, state, version

from codequarry.store.elastic import ElasticStore
from codequarry.store.elastic import publish as publishing
from codequarry.store.elastic.client import Client
from codequarry.store.elastic.ledger import row_at
from codequarry.types import FileKey, Pattern, Request, Scope, Shown, Source

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")
OTHER = Source("github.com/acme/web", "main")
FILES = {f"src/f{number}.py": f"value = {number}\n" for number in range(3)}
NEW = {**FILES, "src/f0.py": "later = 1\n"}


@pytest.fixture
def reader(store, elasticsearch_url):
    made = ElasticStore(elasticsearch_url, prefix=store._names.prefix)
    yield made
    made.close()


def begin(store, source, files, base=None):
    """Publishes a source as an index run does: it begins with another where it can, and names differences alone."""
    with store.publish(source) as publication:
        shown = publication.begin_with(base) if base else publication.shown()
        keys = {path: FileKey(path, blob_of(text)) for path, text in files.items()}
        changed = [key for path, key in keys.items() if path not in shown or shown[path].blob != key.blob]
        there = publication.have(changed)
        publication.put([version(key.path, files[key.path]) for key in changed if key not in there])
        hidden = [path for path in shown if path not in files]
        publication.commit(state(source), show=[Shown(*key) for key in changed], hide=hidden)


def texts(store, source, scope):
    """Path and text of every chunk that a search finds a source to show."""
    candidates = store.retrieve(Request(replace(scope, patterns=(Pattern(""),)))).candidates
    shown = [one for one in candidates if source in {place.source for place in one.places}]
    return {one.path: text + "\n" for one, text in zip(shown, store.texts(shown), strict=True)}


def keep(reader, view):
    """Has a reader go on with these rows as if it had read them just now."""
    reader._reader._view = replace(view, read_at=time.monotonic())


class Watched:
    """Asks for a source after each write of another process, with rows that were kept from each moment before."""

    def __init__(self, reader, source, old, new):
        self.reader, self.source, self.old, self.new = reader, source, old, new
        self.kept, self.moments, self.wrong = [], [], []
        self.before = self.pointer()
        self.look()

    def pointer(self):
        row = self.reader._client.get(row_at(self.reader._names, self.source))
        return row.source["pointer"] if row else 0

    def look(self):
        """Asked for by name a source shows the old files or, from the move of its pointer on, the new ones, and nothing else."""
        is_moved = self.pointer() != self.before
        expected = self.new if is_moved else self.old
        for since, view in enumerate(self.kept):
            by_name, by_default, unknown = (
                self.ask(view, lambda: texts(self.reader, self.source, Scope(sources=(self.source,)))),
                self.ask(view, lambda: texts(self.reader, self.source, Scope())),
                self.ask(view, lambda: self.reader.unknown_terms(("src",), Scope(sources=(self.source,)))),
            )
            fits = by_name == expected and by_default in (self.old, expected) and not (expected and unknown)
            if not fits:
                self.wrong.append((since, len(self.moments), by_name, by_default, unknown))
        self.moments.append(is_moved)
        self.reader._reader.forget_view()
        self.kept.append(self.reader._reader.view())

    def ask(self, view, question):
        keep(self.reader, view)
        return question()


@pytest.fixture
def watched(reader, monkeypatch):
    """Has a source be watched while a store publishes it."""

    def watch(store, source, old, new):
        watcher = Watched(reader, source, old, new)
        write = Client.write

        def then_look(client, *arguments, **named):
            outcomes = write(client, *arguments, **named)
            if client is store._client:
                watcher.look()
            return outcomes

        monkeypatch.setattr(Client, "write", then_look)
        return watcher

    return watch


@pytest.mark.parametrize("base", [None, MAIN], ids=["alone", "on another branch"])
@pytest.mark.parametrize("again", [False, True], ids=["first", "after it was forgotten"])
def test_a_new_source_is_found_whole_from_the_move_of_its_pointer_on_whatever_rows_a_reader_keeps(
    store, watched, base, again
):
    publish(store, MAIN, FILES)
    if again:
        publish(store, NEXT, {"old.py": "old = 1\n"})
        store.forget(NEXT)
    watcher = watched(store, NEXT, {}, NEW)
    begin(store, NEXT, NEW, base)
    assert watcher.wrong == []
    assert set(watcher.moments) == {False, True}
    assert texts(watcher.reader, MAIN, Scope()) == FILES


def test_a_source_goes_on_from_old_to_new_whatever_rows_a_reader_keeps(store, watched):
    publish(store, NEXT, FILES)
    watcher = watched(store, NEXT, FILES, NEW)
    begin(store, NEXT, NEW)
    assert watcher.wrong == []
    assert set(watcher.moments) == {False, True}


def test_a_forgotten_source_is_gone_from_the_move_of_its_pointer_on_whatever_rows_a_reader_keeps(store, watched):
    publish(store, NEXT, FILES)
    watcher = watched(store, NEXT, FILES, {})
    store.forget(NEXT)
    assert watcher.wrong == []
    assert set(watcher.moments) == {False, True}


def test_no_empty_answer_is_given_by_rows_from_before_a_publication_whose_writer_was_killed_before_it_told_of_it(
    store, reader, monkeypatch
):
    publish(store, MAIN, FILES)
    with store.publish(OTHER) as publication:
        kept = reader._reader.view()
        monkeypatch.setattr(publishing, "announce", lambda *_: None)
        publication.put([version("later.py", "later = 1\n")])
        publication.commit(state(OTHER), show=[Shown("later.py", blob_of("later = 1\n"))])
    keep(reader, kept)
    assert [one.path for one in reader.retrieve(Request(terms=("later",))).candidates] == ["later.py"]


def test_a_hit_that_names_a_source_which_the_kept_rows_do_not_show_has_them_read_again(store, reader, monkeypatch):
    publish(store, MAIN, FILES)
    publish(store, OTHER, FILES)
    store.forget(OTHER)
    kept = reader._reader.view()
    monkeypatch.setattr(publishing, "announce", lambda *_: None)
    publish(store, OTHER, FILES)
    keep(reader, kept)
    assert texts(reader, OTHER, Scope()) == FILES
