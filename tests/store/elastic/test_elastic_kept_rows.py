"""Readers keep the rows of sources for some seconds: what they see while another process publishes, at every step of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from builders import blob_of, publish, state, version

import codequarry.store.elastic as elastic
from codequarry.store.elastic import ElasticStore, ledger
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
    """Asks for a source after each write of another process, with rows that were kept from each moment before.

    `states`: the files that the source is to show, one after another, each from a move of its pointer on.
    """

    def __init__(self, reader, source, states):
        self.reader, self.source, self.states = reader, source, states
        self.kept, self.pointers, self.wrong = [], [self.pointer()], []
        self.look()

    def pointer(self):
        row = self.reader._client.get(row_at(self.reader._names, self.source))
        return row.source["pointer"] if row else 0

    def look(self):
        """Asked for alone, with another, and not by name: it shows what it is to show now, or without a name what it showed."""
        if (pointer := self.pointer()) != self.pointers[-1]:
            self.pointers.append(pointer)
        expected = self.states[len(self.pointers) - 1]
        for since, view in enumerate(self.kept):
            alone, together, default, unknown = (
                self.ask(view, question)
                for question in (
                    lambda: texts(self.reader, self.source, Scope(sources=(self.source,))),
                    lambda: texts(self.reader, self.source, Scope(sources=(MAIN, self.source))),
                    lambda: texts(self.reader, self.source, Scope()),
                    lambda: self.reader.unknown_terms(("src",), Scope(sources=(self.source,))),
                )
            )
            if not alone == together == default == expected or (expected and unknown):
                self.wrong.append((since, len(self.pointers), alone, together, default, unknown))
        self.reader._reader.forget_view()
        self.kept.append(self.reader._reader.view())

    def ask(self, view, question):
        keep(self.reader, view)
        return question()


@pytest.fixture
def watched(store, reader, monkeypatch):
    """Has a source be watched while the store publishes it."""

    def watch(source, *states):
        watcher = Watched(reader, source, states)
        write = Client.write

        def then_look(client, *arguments, **named):
            outcomes = write(client, *arguments, **named)
            if client is store._client:
                watcher.look()
            return outcomes

        monkeypatch.setattr(Client, "write", then_look)
        return watcher

    return watch


@pytest.fixture(params=[False, True], ids=["told", "killed before it told"])
def killed(request, monkeypatch):
    """Whether writers are killed once the pointer has moved, before they tell readers of it."""
    if request.param:
        monkeypatch.setattr(ledger, "announce", tell := _only_beginnings(ledger.announce))
        for module in (publishing, elastic):
            monkeypatch.setattr(module, "announce", tell)


def _only_beginnings(announce):
    def tell(*arguments, begins=None, ended=None):
        if begins is not None:
            announce(*arguments, begins=begins)

    return tell


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("base", [None, MAIN], ids=["alone", "on another branch"])
def test_a_new_source_is_found_whole_from_the_move_of_its_pointer_on_whatever_rows_a_reader_keeps(store, watched, base):
    publish(store, MAIN, FILES)
    watcher = watched(NEXT, {}, NEW)
    begin(store, NEXT, NEW, base)
    assert watcher.wrong == []
    assert len(watcher.pointers) == 2
    assert texts(watcher.reader, MAIN, Scope()) == FILES


def test_a_source_goes_on_from_old_to_new_whatever_rows_a_reader_keeps(store, watched):
    publish(store, MAIN, FILES)
    publish(store, NEXT, FILES)
    watcher = watched(NEXT, FILES, NEW)
    begin(store, NEXT, NEW)
    assert watcher.wrong == []
    assert len(watcher.pointers) == 2


@pytest.mark.usefixtures("killed")
def test_a_source_that_is_forgotten_and_begins_again_is_never_half_there_whatever_rows_a_reader_keeps(store, watched):
    publish(store, MAIN, FILES)
    publish(store, NEXT, {"src/old.py": "old = 1\n"})
    watcher = watched(NEXT, {"src/old.py": "old = 1\n"}, {}, FILES)
    store.forget(NEXT)
    begin(store, NEXT, FILES, MAIN)  # nothing of its own leads to it now
    assert watcher.wrong == []
    assert len(watcher.pointers) == 3


def test_who_tells_late_of_an_end_does_not_end_what_began_meanwhile(store, reader, monkeypatch):
    publish(store, MAIN, FILES)
    publish(store, NEXT, FILES)
    late = []
    with monkeypatch.context() as patched:
        patched.setattr(elastic, "announce", lambda *told, **more: late.append((told, more)))
        store.forget(NEXT)
    with store.publish(NEXT) as publication:
        publication.begin_with(MAIN)
        ((told, more),) = late
        ledger.announce(*told, **more)
        kept = reader._reader.view()
        monkeypatch.setattr(publishing, "announce", lambda *_, **__: None)
        publication.commit(state(NEXT), show=())
    keep(reader, kept)
    assert texts(reader, NEXT, Scope(sources=(NEXT,))) == FILES


@pytest.mark.parametrize("what", ["publish", "forget"])
def test_a_write_of_a_row_whose_answer_was_lost_is_seen_by_readers_that_are_told_of_it(
    store, reader, monkeypatch, what
):
    publish(store, MAIN, FILES)
    if what == "forget":
        publish(store, NEXT, FILES)
    settings = f"/{store._names.ledger}/_settings"
    store._client.call("PUT", settings, {"index": {"refresh_interval": "-1"}})
    write, lost = Client.write, []

    def lose(client, writes, *, refresh=False):
        listed = list(writes)
        rows = [item.source for item in listed if item.source is not None and item.source.get("branch") == "next"]
        if any(row["pointer"] == row["epoch"] and row["forgotten"] == (what == "forget") for row in rows) and not lost:
            lost.append(write(client, listed))
            return [outcome._replace(status=409) for outcome in lost[0]]
        return write(client, listed, refresh=refresh)

    monkeypatch.setattr(Client, "write", lose)
    if what == "forget":
        store.forget(NEXT)
    else:
        begin(store, NEXT, FILES, MAIN)
    assert lost
    states = {state.source for state in reader._reader.view().states()}
    assert states == ({MAIN} if what == "forget" else {MAIN, NEXT})


def test_a_source_counts_no_files_as_soon_as_it_shows_none(store, monkeypatch):
    publish(store, MAIN, FILES)
    begin(store, NEXT, NEW, MAIN)
    clear, counted = publishing.ElasticPublication.clear, []

    def clear_and_look(publication):
        lease = clear(publication)
        (state,) = [one for one in store.sources() if one.source == NEXT]
        counted.append((state.files, state.chunks, state.size_bytes, store.paths(NEXT)))
        return lease

    monkeypatch.setattr(publishing.ElasticPublication, "clear", clear_and_look)
    store.forget(NEXT)
    assert counted == [(0, 0, 0, [])]


def test_a_source_that_was_published_anew_while_it_was_forgotten_stays(store, monkeypatch):
    publish(store, MAIN, FILES)
    publish(store, NEXT, FILES)
    clear = publishing.ElasticPublication.clear

    def clear_and_be_overtaken(publication):
        lease = clear(publication)
        publish(store, NEXT, NEW)
        return lease

    with monkeypatch.context() as patched:
        patched.setattr(publishing.ElasticPublication, "clear", clear_and_be_overtaken)
        store.forget(NEXT)
    assert texts(store, NEXT, Scope()) == NEW
    assert [one.source for one in store.sources()] == [MAIN, NEXT]


@pytest.mark.usefixtures("killed")
def test_readers_look_at_the_rows_of_those_that_begin_and_compact_ends_it(store, reader):
    publish(store, MAIN, FILES)
    with store.publish(NEXT) as publication:
        assert reader._reader.view().turning.keys() >= {publication._src}
        store.compact()
        reader._reader.forget_view()
        assert reader._reader.view().turning == {publication._src: NEXT.repo}
        publication.begin_with(MAIN)
        publication.commit(state(NEXT), show=())
    store.compact()
    reader._reader.forget_view()
    assert reader._reader.view().turning == {}
