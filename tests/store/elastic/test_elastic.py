"""The store on Elasticsearch: what goes beyond the contract, on a real node where a node is needed."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import builders
import pytest
import re2
from builders import EMBEDDER, RECIPE, blob_of, publish, state, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry import text
from codequarry.errors import IndexMissing, ModelMismatch, SchemaMismatch, StoreError, WriterBusy
from codequarry.store.elastic import ElasticStore, clean, documents, mapping, query, read
from codequarry.store.elastic.client import At, Client, Document, Write
from codequarry.store.elastic.documents import Key
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import FileKey, Pattern, Request, Scope, Shown, Source

MAIN = Source("github.com/acme/api", "main")
NEXT = Source("github.com/acme/api", "next")
FILES = {
    "src/parser.py": "def parse_json(data):\n    return decode(data)\n",
    "docs/manual.md": "# Manual\nHow to parse.\n",
}


def paths_of(store, **scope):
    request = Request(scope=Scope(patterns=(Pattern(""),), **scope))
    return sorted({one.path for one in store.retrieve(request).candidates})


def documents_in(store, alias):
    store._client.refresh(alias)
    return [hit["_source"] for hit in store._client.sweep(alias, {"match_all": {}})]


# ---------------------------------------------------------------------------------------------------------------- indices


def test_without_an_index_opening_says_what_to_do(elasticsearch_url, elasticsearch_prefix):
    with pytest.raises(IndexMissing) as caught:
        ElasticStore(elasticsearch_url, prefix=elasticsearch_prefix)
    assert "codequarry index" in caught.value.hint


@pytest.mark.parametrize("fixture", ["elasticsearch_url", "elasticsearch_8_url"])
def test_names_of_indices_carry_layout_and_model_and_their_mapping_is_as_made(fixture, elasticsearch_prefix, request):
    store = ElasticStore(request.getfixturevalue(fixture), prefix=elasticsearch_prefix, create=True)
    store.prepare(EMBEDDER, RECIPE)
    answer = store._client.call("GET", f"/{store._names.chunks}/_mapping")[1]
    assert list(answer) == [f"{elasticsearch_prefix}-chunks-v{mapping.SCHEMA}-{EMBEDDER.fingerprint}"]
    assert mapping.differences(store._client, store._names, store._known_model()) == []
    assert answer[next(iter(answer))]["mappings"]["properties"]["vector"]["element_type"] == "byte"
    store.close()


def test_an_index_of_a_newer_layout_is_refused(store, elasticsearch_url, elasticsearch_prefix):
    meta = {"_meta": {"schema": mapping.SCHEMA + 1, "model": "m", "fingerprint": "f", "dim": 64}}
    store._client.call("PUT", f"/{store._names.chunks}/_mapping", meta)
    for create in (True, False):
        with pytest.raises(SchemaMismatch) as caught:
            ElasticStore(elasticsearch_url, prefix=elasticsearch_prefix, create=create)
        assert "upgrade" in caught.value.hint


def test_a_field_that_is_mapped_otherwise_shows_in_check(elasticsearch_url, elasticsearch_prefix):
    store = ElasticStore(elasticsearch_url, prefix=elasticsearch_prefix, create=True)
    names, model = store._names, mapping.Model(EMBEDDER.name, EMBEDDER.fingerprint, EMBEDDER.dim)
    definition = mapping._definition(names, names.chunks, model, (9, 5, 3))
    definition["mappings"]["properties"]["t_names"] = {"type": "keyword"}
    mapping._create(store._client, names.real(names.chunks, model.fingerprint), names.chunks, definition)
    (check,) = [one for one in store.check() if one.part == "index"]
    assert not check.ok
    assert "t_names" in check.says
    store.close()


def test_a_question_of_another_model_is_refused(store):
    publish(store, MAIN, FILES)
    with pytest.raises(ModelMismatch, match="32 dimensions"):
        store.retrieve(Request(vector=bytes(32)))


def test_versions_made_by_an_older_recipe_are_made_again_and_replaced(store):
    publish(store, MAIN, FILES)
    before = list(store.dump())
    store.prepare(EMBEDDER, "another recipe")
    with store.publish(MAIN) as publication:
        assert set(publication.shown()) == set(FILES)
        assert {item.blob for item in publication.shown().values()} == {""}
        assert publication.have(FileKey(path, blob_of(content)) for path, content in FILES.items()) == set()
    publish(store, MAIN, FILES)
    assert list(store.dump()) == before
    versions = [item for item in documents_in(store, store._names.files) if item["type"] == "version"]
    assert {item["recipe"] for item in versions} == {"another recipe"}


# ------------------------------------------------------------------------------------------------------------- publication


def test_what_a_fenced_writer_wrote_last_is_never_shown(store):
    publish(store, MAIN, FILES)
    late = store.publish(MAIN)
    late.put([version("src/parser.py", "late = 1\n")])
    item = Shown("src/parser.py", blob_of("late = 1\n"))
    with store.publish(MAIN) as publication:
        publication.put([version("src/parser.py", "new = 1\n")])
        publication.commit(state(MAIN), show=[Shown("src/parser.py", blob_of("new = 1\n"))])
    late._marks()
    late._write_entries({"docs/manual.md": late._mark(item)})  # as if its request had been under way
    with pytest.raises(WriterBusy):
        late.commit(state(MAIN), show=[item])
    assert store.read_file(MAIN, "src/parser.py").text == "new = 1\n"
    assert store.read_file(MAIN, "docs/manual.md").text == FILES["docs/manual.md"]
    assert paths_of(store) == sorted(FILES)


def test_entries_of_a_publication_that_died_before_its_pointer_moved_count_as_not_written(store):
    publish(store, MAIN, FILES)
    before = list(store.dump())
    dead = store.publish(MAIN)
    dead.put([version("src/parser.py", "dead = 1\n")])
    marks = {"src/parser.py": dead._mark(Shown("src/parser.py", blob_of("dead = 1\n")))}
    dead._write_entries({**marks, "docs/manual.md": documents.Mark(dead._lease.epoch, "")})
    store._client.refresh(store._names.chunks, store._names.files)
    assert list(store.dump()) == before
    assert store.retrieve(Request(terms=("dead",))).candidates == []
    publish(store, MAIN, FILES)
    assert list(store.dump()) == before
    store.compact()
    assert not [chunk for chunk in documents_in(store, store._names.chunks) if "dead" in chunk["text"]]


def test_a_version_that_another_publication_holds_outlives_the_source_that_hid_it(store):
    publish(store, MAIN, FILES)
    keys = [FileKey(path, blob_of(content)) for path, content in FILES.items()]
    with store.publish(NEXT) as publication:
        assert publication.have(keys) == set(keys)
        publish(store, MAIN, {"other.py": "x = 1\n"})
        store.compact()
        publication.commit(state(NEXT), show=[Shown(*key) for key in keys])
    assert store.paths(NEXT) == sorted(FILES)
    assert paths_of(store, sources=(NEXT,)) == sorted(FILES)


def test_a_cleaner_that_looked_before_a_version_was_held_does_not_remove_it(store, monkeypatch):
    publish(store, MAIN, FILES)
    key = FileKey("src/parser.py", blob_of(FILES["src/parser.py"]))
    publication = store.publish(NEXT)
    look = clean._users

    def look_then_be_overtaken(*arguments):
        users = look(*arguments)
        publication.have([key])
        return users

    monkeypatch.setattr(clean, "_users", look_then_be_overtaken)
    publish(store, MAIN, {"docs/manual.md": FILES["docs/manual.md"]})
    monkeypatch.undo()
    with publication:
        publication.commit(state(NEXT), show=[Shown(*key)])
    assert store.read_file(NEXT, "src/parser.py").text == FILES["src/parser.py"]


def test_a_version_whose_removal_was_cut_off_is_not_whole_and_can_be_put_again(store):
    publish(store, MAIN, FILES)
    file = version("src/parser.py", FILES["src/parser.py"])
    key = Key(MAIN.repo, *file.key, RECIPE)
    at = At(store._names.files, key.id, key.repo)
    publish(store, MAIN, {})
    with store.publish(MAIN) as publication:
        publication.put([file])
        seen = store._client.get(at)
        store._client.write([Write("index", at, {**seen.source, "done": False, "dying": True, "srcs": []}, seen)])
    with store.publish(MAIN) as publication:
        assert publication.have([file.key]) == set()
        publication.put([file])
        publication.commit(state(MAIN), show=[Shown(*file.key)])
    assert store.read_file(MAIN, file.path).text == FILES[file.path]


def test_chunks_without_a_version_are_removed_by_compact(store):
    publish(store, MAIN, FILES)
    key = Key(MAIN.repo, "ghost.py", "0" * 40, RECIPE)
    file = version("ghost.py", "ghost = 1\n")
    document = documents.chunk(key, file, 0, documents.source_id(MAIN))
    store._client.write([Write("create", At(store._names.chunks, key.chunk_id(1, 1), key.repo), document)])
    store.compact()
    assert {chunk["path"] for chunk in documents_in(store, store._names.chunks)} == set(FILES)


def test_another_process_that_lives_is_waited_for_and_one_that_is_dead_is_not(store, elasticsearch_url):
    program = (
        "import sys\nfrom codequarry.store.elastic import ElasticStore\nfrom codequarry.types import Source\n"
        f"store = ElasticStore({elasticsearch_url!r}, prefix={store._names.prefix!r})\n"
        "publication = store.publish(Source(*sys.argv[1:]))\nprint('taken', flush=True)\nsys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, *MAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "taken\n"
    with pytest.raises(WriterBusy) as caught:
        store.publish(MAIN)
    assert f"process {other.pid} on {socket.gethostname()}" in caught.value.message
    other.kill()
    other.communicate()
    assert publish(store, MAIN, FILES).files == 2


# ------------------------------------------------------------------------------------------------------------------ search


def test_what_is_found_is_what_the_embedded_store_finds(store, tmp_path):
    words = "parse load token queue index merge route graph store chunk".split()
    files = {
        f"{words[n % 7]}/{words[n % 10]}_{n}.py": "\n".join(
            f"def {words[(n * 3 + line) % 10]}_{words[(n + line * line) % 10]}(x):"
            if line % 4 == 0
            else f"    {words[(n * line) % 10]} = {n % 5}"
            for line in range(4 + n % 13)
        )
        for n in range(60)
    }
    other = EmbeddedStore(tmp_path / "index", create=True)
    other.prepare(EMBEDDER, RECIPE)
    for one in (store, other):
        publish(one, MAIN, files)
    assert list(store.dump()) == list(other.dump())
    for asked in ("parse token", "merge graph index", "route", "load load queue"):
        vector = EMBEDDER.embed_question(asked)
        request = Request(terms=tuple(text.terms(asked).split()), vector=vector, words=20, vectors=20)
        mine, theirs = store.retrieve(request).candidates, other.retrieve(request).candidates
        assert [one.chunk_id for one in mine][:20] == [one.chunk_id for one in theirs][:20]
        for one, same in zip(mine[:20], theirs[:20], strict=True):
            assert one.content == pytest.approx(same.content, rel=1e-3)
            assert one.path_score == pytest.approx(same.path_score, rel=1e-3)
            assert one.names == pytest.approx(same.names, rel=1e-3)
            assert one.cosine == pytest.approx(same.cosine)
            assert one.places == same.places
    other.close()


def test_matches_are_whole_and_in_order_over_many_pages(store, monkeypatch):
    files = {f"f{n:02}.py": f"value_{n % 3} = {n}\n" * 2 for n in range(25)}
    publish(store, MAIN, files)
    request = Request(scope=Scope(patterns=(Pattern(r"value_\d = "),)), terms=tuple(text.terms("value_1").split()))
    whole = store.retrieve(request)
    monkeypatch.setattr(read, "PAGE", 4)
    paged = store.retrieve(request)
    assert (whole.total, whole.exact_total) == (paged.total, paged.exact_total) == (25, True)
    assert [one.path for one in paged.candidates] == [one.path for one in whole.candidates]


def test_hits_that_are_dropped_make_place_for_those_below_them(store):
    files = {f"gone{n:02}.py": "needle needle needle needle\n" for n in range(40)} | {"kept.py": "a needle in hay\n"}
    publish(store, MAIN, files)
    request = Request(scope=Scope(not_patterns=(Pattern("needle needle"),)), terms=("needl",), words=1)
    assert [one.path for one in store.retrieve(request).candidates] == ["kept.py"]


def test_a_very_long_question_is_answered(store):
    publish(store, MAIN, FILES)
    terms = ("pars", *(f"word{n}" for n in range(3_000)))
    found = store.retrieve(Request(terms=terms))
    assert {one.path for one in found.candidates} == set(FILES)
    assert any("3001 terms" in note for note in found.notes)


def test_a_reader_that_knows_the_sources_sees_new_ones_at_once(store, elasticsearch_url):
    reader = ElasticStore(elasticsearch_url, prefix=store._names.prefix)
    assert reader.retrieve(Request(terms=("pars",))).candidates == []
    publish(store, MAIN, FILES)
    assert {one.path for one in reader.retrieve(Request(terms=("pars",))).candidates} == set(FILES)
    publish(store, MAIN, {"src/parser.py": FILES["src/parser.py"]}, access=("staff",))
    assert {one.path for one in reader.retrieve(Request(terms=("pars",))).candidates} == {"src/parser.py"}
    assert reader.retrieve(Request(scope=Scope(access=("guests",)), terms=("pars",))).candidates == []
    reader.close()


GLOB_PATHS = [
    "a.go", "src/a.go", "src/net/http/server.go", "src/net/http/server_test.go", "net/b.go", "x/net/b.py", "README.md",
    "docs/[draft] \"plan\".md", "a+b/c#d@e.txt", "w/x<y>~z&.c", "b.a/ü.py", "new\nline/a.go", "-/^.py", "{a,b}/$.go",
]  # fmt: skip
GLOBS = st.lists(
    st.sampled_from(["*", "**", "/", "?", "a", "b", ".go", ".py", "src", "net", "[ab]", "[!a]", "{a,b}", "{go,}", "server",
                     "\\[", "#", "@", "<", "~", "&", '"', "+", "-", "^", "$", " ", "ü", ".md", "\n"]),
    min_size=1, max_size=6,
).map("".join)  # fmt: skip


def test_path_globs_find_what_their_regular_expression_matches(store):
    publish(store, MAIN, dict.fromkeys(GLOB_PATHS, "content\n"))

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(GLOBS)
    def check(glob):
        matching = [path for path in GLOB_PATHS if re2.fullmatch(text.glob_regex(glob), path)]
        assert paths_of(store, paths=(glob,)) == sorted(matching)
        assert paths_of(store, not_paths=(glob,)) == sorted(set(GLOB_PATHS) - set(matching))

    check()


def test_most_globs_and_patterns_narrow_the_search():
    for glob in ("*.go", "src/**/x_?.py", "[a-z]*.md", "{a,b}/*.c", "src", "net/http"):
        assert query._path(glob) is not None
    for regex in (r"foo_bar\(", r"(?i)fooBar", r"\bparse\w+", r"rate_limit\(ctx, \d+", "foo(bar|baz)", "[0-9a-f]{32}"):
        must, _ = query.narrowing(Scope(patterns=(Pattern(regex),)), None)
        assert must, regex
    assert query.narrowing(Scope(patterns=(Pattern(".*"),)), None) == ([], [])


# ------------------------------------------------------------------------------------------------------------------ client


def test_a_write_whose_answer_was_lost_is_recognised_when_it_is_read_back(store):
    at = At(store._names.files, "x", "r")
    calls = []

    def change(number: int, seen: Document | None) -> Write | None:
        calls.append(seen)
        if seen is not None and seen.source["n"] == 1:
            return None
        if not calls[1:]:  # another hand was first, with the same content
            store._client.write([Write("create", at, {"n": 1})])
        return Write("index" if seen else "create", at, {"n": 1}, seen)

    store._client.settle([at], change)
    assert [seen is None for seen in calls] == [True, False]


def test_outcomes_stand_in_the_order_of_writes_over_many_requests(store, monkeypatch):
    monkeypatch.setattr("codequarry.store.elastic.client.BULK_BYTES", 300)
    places = [At(store._names.files, f"d{n}", "r") for n in range(20)]
    store._client.write(Write("create", at, {"n": 0}) for at in places[::2])
    outcomes = store._client.write(Write("create", at, {"n": 1}) for at in places)
    assert [outcome.status for outcome in outcomes] == [409, 201] * 10


@pytest.mark.parametrize(
    ("block", "says"),
    [("read_only_allow_delete", "disk is nearly full"), ("write", "blocked"), ("read_only", "blocked")],
)
def test_a_blocked_index_is_told_at_once_and_shows_in_check(store, block, says):
    publish(store, MAIN, FILES)
    before = list(store.dump())
    setting = f"/{store._names.chunks}/_settings"
    store._client.call("PUT", setting, {f"index.blocks.{block}": True})
    try:
        with pytest.raises(StoreError, match=says) as caught:
            publish(store, MAIN, {**FILES, "new.py": "x = 1\n"})
        assert caught.value.hint
        assert not caught.value.retryable
        assert [one.part for one in store.check() if not one.ok] == ["elasticsearch disk"]
        assert list(store.dump()) == before
    finally:
        store._client.call("PUT", setting, {f"index.blocks.{block}": None})
    assert publish(store, MAIN, {**FILES, "new.py": "x = 1\n"}).files == 3


def test_a_connection_that_the_server_closed_while_idle_is_opened_anew(store):
    publish(store, MAIN, FILES)
    for connection in store._client._connections._idle:
        connection.sock.shutdown(2)
    assert store.paths(MAIN) == sorted(FILES)


@pytest.fixture
def foreign():
    """A server that answers every request alike: what its `answer` says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answer
            data = json.dumps(body).encode()
            self.server.seen.append(self.headers)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answer, server.seen = (200, {}), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_server_that_is_too_old_is_refused_with_the_version_that_is_needed(foreign):
    foreign.answer = (200, {"version": {"number": "8.11.3"}})
    client = Client(f"http://127.0.0.1:{foreign.server_port}")
    with pytest.raises(StoreError, match=r"8\.11\.3.* is too old") as caught:
        mapping.prepare(client, mapping.Names("x"), EMBEDDER)
    assert "8.19" in caught.value.hint
    client.close()


def test_versions_with_known_faults_are_warned_of(foreign):
    foreign.answer = (200, {"version": {"number": "9.5.1"}})
    client = Client(f"http://127.0.0.1:{foreign.server_port}")
    store = ElasticStore.__new__(ElasticStore)
    store._client, store._names = client, mapping.Names("x")
    assert [(one.ok, "9.5.3" in one.hint) for one in store.check() if one.part == "elasticsearch"] == [(False, True)]
    client.close()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_named_and_never_shown(foreign, status):
    foreign.answer = (status, {"error": {"type": "security_exception", "reason": "missing authentication"}})
    with pytest.raises(StoreError, match="missing authentication") as caught:
        ElasticStore(f"http://ada:s%40cret@127.0.0.1:{foreign.server_port}")
    assert "CODEQUARRY_ELASTICSEARCH_API_KEY" in caught.value.hint
    assert "cret" not in caught.value.message + caught.value.hint
    assert foreign.seen[0]["Authorization"] == "Basic YWRhOnNAY3JldA=="
    with pytest.raises(StoreError):
        ElasticStore(f"http://127.0.0.1:{foreign.server_port}", api_key="a2V5")
    assert foreign.seen[1]["Authorization"] == "ApiKey a2V5"


def test_a_server_that_is_not_there_is_a_clear_error():
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        ElasticStore("http://127.0.0.1:9", create=True)
    assert "codequarry dev up" in caught.value.hint


def test_tls_where_there_is_none_is_a_clear_error(foreign):
    with pytest.raises(StoreError, match="TLS") as caught:
        ElasticStore(f"https://127.0.0.1:{foreign.server_port}", create=True)
    assert "http://" in caught.value.hint


def test_check_never_raises(elasticsearch_url, elasticsearch_prefix):
    store = ElasticStore(elasticsearch_url, prefix=elasticsearch_prefix, create=True)
    assert [(one.part, one.ok) for one in store.check()] == [("elasticsearch", True), ("index", False)]
    store._client._connections._port = 9
    store.close()
    assert [(one.part, one.ok) for one in store.check()] == [("elasticsearch", False)]


def test_importing_the_store_imports_no_client_library_and_nothing_heavy():
    program = "import sys; import codequarry.store.elastic; print(*{name.split('.')[0] for name in sys.modules})"
    root = Path(builders.__file__).parent.parent
    reply = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert not {"elasticsearch", "urllib3", "requests", "numpy", "asyncio", "tantivy"} & set(reply.stdout.split())
