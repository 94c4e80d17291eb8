"""`connect("codequarry+http://…")`: a service as the same `CodeSearch` that its store is."""

from __future__ import annotations

import inspect
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from builders import publish
from running import SHOP, VAULT
from test_rest_limits import every

import codequarry
from codequarry.code_search import CodeSearch
from codequarry.errors import (
    BadInput,
    CodequarryError,
    Denied,
    NoKey,
    PathNotFound,
    QuerySyntax,
    RepositoryNotFound,
    ServiceError,
)
from codequarry.remote import RemoteCodeSearch, Service, error_of
from codequarry.search.prompt import PromptBuilder
from codequarry.service.problems import problem
from codequarry.settings import Settings
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Skipped


@pytest.fixture
def remote(service):
    with codequarry.connect(f"codequarry+{service.url}") as quarry:
        yield quarry


@pytest.fixture
def local(service):
    with codequarry.connect(service.parts.backend.location) as quarry:
        yield quarry


def untimed(answer):
    return replace(answer, took_ms=0.0, times_ms={})


def test_it_has_every_method_of_the_library_with_the_same_arguments():
    for name, method in inspect.getmembers(CodeSearch, inspect.isfunction):
        if name.startswith("_"):
            continue
        theirs = getattr(RemoteCodeSearch, name)
        assert theirs is not None
        mine, other = inspect.signature(method).parameters, inspect.signature(theirs).parameters
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in other.values())
        assert set(mine) <= set(other) or takes_any, name


def test_it_answers_what_the_store_answers(remote, local):
    for query, options in (
        ("where are payments retried", {}),
        ("symbol:charge", {"explain": True}),
        ("retry", {"lang": ("python", "go"), "limit": 1}),
        ("retry", {"repo": "acme/shop", "branch": "dev", "path": "src/**"}),
        ("nothing has these words", {"plain": True}),
    ):
        assert untimed(remote.search(query, **options)) == untimed(local.search(query, **options)), query
    cursor = remote.search("path:**", limit=1).next_cursor
    assert untimed(remote.search("path:**", limit=1, cursor=cursor)) == untimed(
        local.search("path:**", limit=1, cursor=cursor)
    )


def test_prompts_files_and_lists_are_the_same_too(remote, local):
    assert remote.prompt("how is a payment retried?", budget=500) == local.prompt(
        "how is a payment retried?", budget=500
    )
    assert remote.read("acme/shop", "src/client.py") == local.read("acme/shop", "src/client.py")
    part = {"branch": "dev", "start_line": 4, "end_line": 6}
    assert remote.read("acme/shop", "src/client.py", **part) == local.read("acme/shop", "src/client.py", **part)
    assert [(one.source, one.commit, one.files, one.indexed_at) for one in remote.repositories()] == [
        (one.source, one.commit, one.files, one.indexed_at) for one in local.repositories()
    ]
    assert (
        remote.skipped(SHOP)
        == local.skipped(SHOP)
        == [
            Skipped("dist/app.js", "generated", "marked in .gitattributes"),
            Skipped("logo.bin", "binary"),
        ]
    )
    assert all(check.ok for check in remote.check())
    assert remote.refresh() == []


def test_a_prompt_builder_builds_from_a_service(remote, local):
    mine = PromptBuilder(remote, budget=600, format="xml").build("how is a payment retried?")
    assert mine == PromptBuilder(local, budget=600, format="xml").build("how is a payment retried?")
    assert mine.blocks


def test_a_path_that_is_no_utf8_goes_there_and_back(service, remote):
    odd = "b\udce9t.py"
    with closing(EmbeddedStore(service.parts.backend.location)) as store:
        publish(store, SHOP, {odd: "def beast():\n    return 1\n"})
    (hit,) = remote.search("symbol:beast").hits
    assert hit.path == odd
    assert remote.read("acme/shop", odd).text == "def beast():\n    return 1\n"


def test_its_errors_are_those_of_the_library(remote, local):
    for ask, kind in (
        (lambda quarry: quarry.search('retry "open'), QuerySyntax),
        (lambda quarry: quarry.read("acme/shop", "src/klient.py"), PathNotFound),
        (lambda quarry: quarry.read("acme/nothing", "x"), RepositoryNotFound),
        (lambda quarry: quarry.prompt("x", format="yaml"), BadInput),
        (lambda quarry: quarry.search("x", path="[z-a]"), BadInput),
    ):
        raised = []
        for quarry in (remote, local):
            with pytest.raises(kind) as error:
                ask(quarry)
            assert type(error.value) is kind
            raised.append(error.value)
        if kind is not BadInput:
            assert (raised[0].message, raised[0].hint) == (raised[1].message, raised[1].hint)
    with pytest.raises(QuerySyntax) as error:
        remote.search('retry "open')
    assert (error.value.query, error.value.position) == ('retry "open', 6)


@pytest.mark.parametrize("kind", list(every(CodequarryError)), ids=lambda kind: kind.__name__)
def test_every_error_comes_back_as_its_class(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "it went wrong")
    error.__dict__.update(message="it went wrong", hint="do this", query="abc", position=2)
    back = error_of(problem(error, "id"))
    assert (type(back), back.message, back.hint, str(back)) == (kind, "it went wrong", "do this", "it went wrong")


def test_a_key_is_needed_where_there_are_keys(keyed):
    address = f"codequarry+{keyed.url}"
    with codequarry.connect(address) as quarry, pytest.raises(NoKey):
        quarry.search("retry")
    with codequarry.connect(address, api_key=keyed.keys["read"]) as quarry:
        assert quarry.repositories()
        with pytest.raises(Denied):
            quarry.search("retry")
    with codequarry.connect(address, api_key=keyed.keys["guest"]) as quarry:
        assert VAULT.repo not in {state.source.repo for state in quarry.repositories()}
        assert {hit.repo for hit in quarry.search("retry").hits} == {SHOP.repo}
    with codequarry.connect(address, api_key=keyed.keys["staff"]) as quarry:
        assert VAULT.repo in {hit.repo for hit in quarry.search("unlock the vault").hits}


def test_the_key_of_the_settings_is_used(keyed, tmp_path):
    settings = Settings(tmp_path, api_key=keyed.keys["read"])
    with codequarry.connect(f"codequarry+{keyed.url}", settings=settings) as quarry:
        assert quarry.repositories()


def test_repositories_are_registered_and_removed_through_it(remote):
    (report,) = remote.index("https://example.org/acme/pay", branches=["main"])
    assert report.source.repo == "example.org/acme/pay"
    with pytest.raises(BadInput):
        remote.index("./folder")
    with pytest.raises(BadInput):
        remote.index("https://example.org/acme/x", name="other")
    assert remote.forget(SHOP.repo) == sorted([SHOP._replace(branch="dev"), SHOP])
    assert remote.search("retry", repo="acme/shop").hits == []


def test_what_is_no_service_is_told():
    for address in ("codequarry+http://127.0.0.1:1", "codequarry+https://127.0.0.1:1/base"):
        with codequarry.connect(address) as quarry, pytest.raises(ServiceError) as error:
            quarry.search("x")
        assert error.value.retryable
        assert not quarry.check()[0].ok
    for address in (
        "codequarry+http://",
        "codequarry+https://me:hunter2@search.internal",
        "codequarry+http://x:99999999",
        "codequarry+http://x?prefix=y",
    ):
        with pytest.raises(BadInput) as refused:
            codequarry.connect(address)
        assert "hunter2" not in refused.value.message


def test_an_answer_of_something_else_is_told(service):
    with codequarry.connect(f"codequarry+{service.url}/elsewhere") as quarry, pytest.raises(CodequarryError) as error:
        quarry.search("x")
    assert error.value.status == 404


def test_many_threads_share_it_and_a_closed_connection_is_opened_again(service):
    quarry = codequarry.connect(f"codequarry+{service.url}")
    found = []

    def ask():
        for _ in range(10):
            found.append(len(quarry.search("retry").hits))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert set(found) == {found[0]}
    idle: Service = quarry.store
    for connection in idle._connections._idle:
        connection.sock.shutdown(2)
    assert quarry.search("retry").hits
    quarry.close()
    assert not idle._connections._idle


def test_the_command_line_searches_a_service(keyed, command):
    address = f"codequarry+{keyed.url}"
    env = {"CODEQUARRY_API_KEY": keyed.keys["guest"]}
    done = command("search", "--store", address, "where are payments retried", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "src/client.py" in done.stdout
    assert command("read", "--store", address, "acme/shop", "src/client.py:1-2", env=env).stdout.startswith(
        "class Client"
    )
    assert "example.org/acme/shop" in command("status", "--store", address, env=env).stdout
    refused = command("search", "--store", address, "x")
    assert (refused.returncode, "needs a key" in refused.stderr) == (5, True)
