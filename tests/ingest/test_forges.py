"""Listing an organisation through its forge's API, played by a server of this test's own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from codequarry.errors import BadInput, Denied, NotFound, Upstream
from codequarry.ingest.forges import FORGES, discover

TOKEN = "glpat-CANARY-0123456789"


def github(name, number, **more):
    return {
        "id": number,
        "full_name": name,
        "clone_url": f"https://github.com/{name}.git",
        "default_branch": "main",
        "fork": False,
        "archived": False,
        "private": False,
    } | more


def gitlab(name, number, **more):
    return {
        "id": number,
        "path_with_namespace": name,
        "http_url_to_repo": f"https://gitlab.com/{name}.git",
        "default_branch": "main",
        "archived": False,
        "visibility": "public",
        "empty_repo": False,
    } | more


MAKE = {
    "github": github,
    "gitlab": gitlab,
    "gitea": lambda name, number, **more: github(name, number, empty=False, **more),
}
PAGES = {"github": ("per_page", 100), "gitlab": ("per_page", 100), "gitea": ("limit", 50)}


class ForgeServer:
    """A forge: lists by path, given out in pages with the links that forges give. `odd` may answer in its place."""

    def __init__(self):
        self.lists, self.asked, self.odd = {}, [], lambda handler, number: False
        forge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                forge.asked.append((self.path, dict(self.headers.items())))
                if not forge.odd(self, len(forge.asked)):
                    forge.answer(self)

            def log_message(self, *_):
                pass

            def give(self, status, value, **headers):
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name.replace("_", "-"), text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answer(self, handler):
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path not in self.lists:
            handler.give(404, {"message": "Not Found"})
            return
        size, page = int(query.get("per_page") or query["limit"]), int(query.get("page", "1"))
        items = self.lists[parts.path]
        links = []
        if page * size < len(items):
            rest = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
            links = [
                f'<{self.url}{parts.path}?{rest}&page={number}>; rel="{rel}"'
                for rel, number in (("next", page + 1), ("last", 9))
            ]
        handler.give(200, items[(page - 1) * size : page * size], **({"Link": ", ".join(links)} if links else {}))

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def forge():
    server = ForgeServer()
    yield server
    server.close()


def path_of(name, what="acme"):
    kind = {"github": "/api/v3/orgs/{}/repos", "gitlab": "/api/v4/groups/{}/projects", "gitea": "/api/v1/orgs/{}/repos"}
    return kind[name].format(what)


def ask(forge, name="github", org="acme", **options):
    options.setdefault("wait", lambda seconds: None)
    return discover(FORGES[name], org, api=forge.url, **options)


def paths(found):
    return [one.path for one in found.found]


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101, 257])
def test_every_page_is_read(forge, name, count):
    forge.lists[path_of(name)] = [MAKE[name](f"acme/r{number:03}", number) for number in range(count)]
    found = ask(forge, name)
    assert paths(found) == [f"acme/r{number:03}" for number in range(count)]
    assert [one.id for one in found.found] == [str(number) for number in range(count)]
    assert all(one.url.endswith(f"/{one.path}.git") and one.default == "main" for one in found.found)
    assert len(forge.asked) == max(1, -(-count // PAGES[name][1]))


@pytest.mark.parametrize("name", FORGES)
def test_forks_archived_and_empty_ones_are_left_out_unless_they_are_asked_for(forge, name):
    forked = {"forked_from_project": {"id": 9}} if name == "gitlab" else {"fork": True}
    empty = {"empty_repo": True} if name == "gitlab" else {"empty": True}
    forge.lists[path_of(name)] = [
        MAKE[name]("acme/plain", 1),
        MAKE[name]("acme/fork", 2, **forked),
        MAKE[name]("acme/old", 3, archived=True),
        MAKE[name]("acme/both", 4, archived=True, **forked),
        {**MAKE[name]("acme/new", 5), **empty},
    ]
    found = ask(forge, name)
    assert paths(found) == ["acme/plain"]
    assert found.left_out == {"fork": ["acme/fork", "acme/both"], "archived": ["acme/old"], "empty": ["acme/new"]}
    assert paths(ask(forge, name, forks=True)) == ["acme/fork", "acme/plain"]
    assert paths(ask(forge, name, archived=True)) == ["acme/old", "acme/plain"]
    assert paths(ask(forge, name, forks=True, archived=True)) == ["acme/both", "acme/fork", "acme/old", "acme/plain"]


def test_globs_say_which(forge):
    names = ["acme/api", "acme/api-docs", "acme/web", "acme/backend/api", "acme/backend/jobs"]
    forge.lists[path_of("gitlab")] = [gitlab(name, number) for number, name in enumerate(names)]

    def found(**options):
        return paths(ask(forge, "gitlab", **options))

    assert found(include=["api*"]) == ["acme/api", "acme/api-docs", "acme/backend/api"]
    assert found(include=["api*"], exclude=["*-docs"]) == ["acme/api", "acme/backend/api"]
    assert found(include=["acme/*"], exclude=["acme/backend/**"]) == ["acme/api", "acme/api-docs", "acme/web"]
    assert found(exclude=["acme/backend"]) == ["acme/api", "acme/api-docs", "acme/web"]
    assert found(include=["nothing"]) == []


def test_private_ones_are_told_and_a_token_is_sent_as_the_forge_wants_it(forge):
    for name, header, value in (
        ("github", "Authorization", f"Bearer {TOKEN}"),
        ("gitlab", "PRIVATE-TOKEN", TOKEN),
        ("gitea", "Authorization", f"token {TOKEN}"),
    ):
        more = {"visibility": "private"} if name == "gitlab" else {"private": True}
        forge.lists[path_of(name)] = [MAKE[name]("acme/vault", 1) | more]
        assert [one.private for one in ask(forge, name, token=TOKEN).found] == [True]
        assert forge.asked[-1][1][header] == value
        assert TOKEN not in forge.asked[-1][0]


def test_a_user_is_listed_where_there_is_no_organisation_of_the_name(forge):
    forge.lists["/api/v3/users/octavia/repos"] = [github("octavia/dotfiles", 1)]
    assert paths(ask(forge, org="octavia")) == ["octavia/dotfiles"]


def test_a_group_within_a_group_is_named_with_all_above_it(forge):
    forge.lists["/api/v4/groups/acme%2Fbackend/projects"] = [gitlab("acme/backend/api", 1)]
    assert paths(ask(forge, "gitlab", "acme/backend")) == ["acme/backend/api"]


def test_what_is_not_there_is_said_so(forge):
    with pytest.raises(NotFound, match="no organisation 'acme'") as raised:
        ask(forge)
    assert "GITHUB_TOKEN" in raised.value.hint


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/../b", "a?b", "a#b", "-\n", "a/", "/a", "a%2Fb"])
def test_a_name_that_cannot_be_is_refused_and_nothing_is_asked(forge, name):
    with pytest.raises(BadInput):
        ask(forge, org=name)
    assert forge.asked == []


@pytest.mark.parametrize(
    "api",
    [
        "ftp://x",
        "https://",
        "https://u:p@git.example",
        "https://git.example/?a=b",
        "git.example",
        "https://[x",
        "https://h:99999",
    ],
)
def test_an_address_that_is_no_api_is_refused(api):
    with pytest.raises(BadInput) as raised:
        discover(FORGES["gitea"], "acme", api=api)
    assert "u:p" not in raised.value.message


def test_a_forge_without_a_public_place_needs_an_address():
    with pytest.raises(BadInput, match="where is"):
        discover(FORGES["gitea"], "acme")


def test_a_token_goes_to_no_other_place_than_was_asked(forge):
    other = ForgeServer()
    try:
        other.lists[path_of("github")] = [github("evil/repo", 666)]
        away = f"{other.url}{path_of('github')}?per_page=100"
        for answer in (
            lambda handler, _: handler.give(302, [], Location=away) or True,
            lambda handler, _: handler.give(301, [], Location=away) or True,
            lambda handler, _: handler.give(200, [github("acme/a", 1)], Link=f'<{away}>; rel="next"') or True,
            lambda handler, _: handler.give(200, [], Link=f"<//{urlsplit(away).netloc}/x>; rel=next") or True,
        ):
            forge.odd = answer
            with pytest.raises(Upstream, match="not asked"):
                ask(forge, token=TOKEN)
        assert other.asked == []
    finally:
        other.close()
    with pytest.raises(BadInput, match="plain http"):
        discover(FORGES["gitea"], "acme", api="http://git.example", token=TOKEN)
    for wrong in ("a\nb", "a b", "é"):
        with pytest.raises(BadInput, match="no token") as raised:
            ask(forge, token=wrong)
        assert wrong not in raised.value.message


def test_links_without_a_host_are_followed(forge):
    def answer(handler, number):
        if number == 1:
            handler.give(200, [github("acme/a", 1)], Link='</api/v3/orgs/acme/repos?per_page=100&page=2>; rel="next"')
        else:
            handler.give(200, [github("acme/b", 2)])
        return True

    forge.odd = answer
    assert paths(ask(forge)) == ["acme/a", "acme/b"]
    assert forge.asked[1][0] == "/api/v3/orgs/acme/repos?per_page=100&page=2"


def test_a_list_that_goes_round_in_a_circle_ends(forge):
    forge.odd = lambda handler, _: handler.give(200, [], Link=f"<{forge.url}{handler.path}>; rel=next") or True
    with pytest.raises(Upstream, match="without an end"):
        ask(forge)
    assert len(forge.asked) == 1


def test_a_forge_that_wants_time_is_given_it(forge):
    forge.lists[path_of("github")] = [github("acme/a", 1)]
    waited = []

    def answer(handler, number):
        if number == 1:
            handler.give(429, {}, Retry_After="7")
        elif number == 2:
            handler.give(403, {}, X_RateLimit_Remaining="0", X_RateLimit_Reset="1")
        elif number == 3:
            handler.give(502, b"<html>")
        return number < 4

    forge.odd = answer
    assert paths(ask(forge, wait=waited.append)) == ["acme/a"]
    assert waited == [7.0, 1.0, 8.0]


def test_one_that_wants_much_time_or_never_answers_well_is_an_error_that_may_pass(forge):
    forge.odd = lambda handler, _: handler.give(429, {}, Retry_After="3600") or True
    with pytest.raises(Upstream, match="later") as raised:
        ask(forge, wait=lambda seconds: pytest.fail("an hour is too long"))
    assert raised.value.retryable
    assert raised.value.hint == "again in 3600 s"
    forge.odd = lambda handler, _: handler.give(500, b"") or True
    with pytest.raises(Upstream, match="status 500") as raised:
        ask(forge)
    assert raised.value.retryable
    assert len(forge.asked) == 5


def test_a_forge_that_cannot_be_reached_is_an_error_that_may_pass():
    server = ForgeServer()
    server.close()
    with pytest.raises(Upstream, match="does not answer") as raised:
        ask(server)
    assert raised.value.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_taken_is_said_so_and_not_shown(forge, status):
    forge.odd = lambda handler, _: handler.give(status, {"message": TOKEN}) or True
    with pytest.raises(Denied) as raised:
        ask(forge, token=TOKEN)
    assert "GITHUB_TOKEN" in raised.value.hint
    assert TOKEN not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[1]", b"[[]]", b"null", b'[{"id": 1}]', b'[{"id": 1, "full_name": "", "clone_url": "x"}]',
     b'[{"id": 1, "full_name": 7, "clone_url": "x"}]', b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_an_answer_that_is_none_of_an_api_is_an_error(forge, body):
    forge.odd = lambda handler, _: handler.give(200, body) or True
    with pytest.raises(Upstream, match="answers with"):
        ask(forge)


def test_the_public_forges_are_asked_where_they_have_their_api():
    assert {row.name: row.api for row in FORGES.values()} == {
        "github": "https://api.github.com",
        "gitlab": "https://gitlab.com/api/v4",
        "gitea": "",
    }
