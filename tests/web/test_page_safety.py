"""What others wrote never acts: names and code are hostile, and so are other sites."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest
from builders import EMBEDDER, RECIPE, publish
from playwright.sync_api import expect
from running import Running

from codequarry.service.web.address import file_url
from codequarry.service.web.door import COOKIE, POLICY, is_same_site
from codequarry.settings import Settings
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Skipped, Source

PARTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></pre></textarea></title><svg onload=alert(1)>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u202c",
    "\u2066\u2069\u200b\ufeff",
    "\udcff\udcfe",
    "\x1b[31m\x07",
    "&lt;&amp;&#x3c;",
    "data:text/html,x",
    "%00%0a%27",
    "\\\\evil.example\\x",
    "a" * 230,
    "\u0301" * 60,
    "`${alert(1)}`",
    "--><!--",
    "]]>",
    "{a,b}[c]*?",
]


def hostile_files():
    """Two hundred files whose names and contents are made of these parts."""
    chance = random.Random(12)
    files = {}
    for number in range(200):
        first, second = chance.sample(PARTS, 2)
        name = f"{number:03}/{first}/{second}.py".replace("//", "/").replace("\0", "")
        body = "\n".join(chance.sample(PARTS, 5)).encode("utf-8", "replace").decode()
        files[name] = f"def needle_{number}():\n{body}\nneedle {second.encode('utf-8', 'replace').decode()}\n"
    files["200/wide.py"] = "needle_wide = '" + "x<b>" * 250_000 + "'\n"
    return files


HOSTILE = Source("example.org/<script>alert(2)</script>/\u202eevil", "ma<i>in")


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    files = hostile_files()
    store = EmbeddedStore(folder / "index", create=True)
    store.prepare(EMBEDDER, RECIPE)
    skipped = [Skipped(name, "binary", name) for name in PARTS]
    publish(store, HOSTILE, files, lines=20, skipped=skipped, web="https://github.com/acme/shop")
    store.close()
    with Running(Settings(folder, rate_limit=0)) as service:
        service.files = files
        yield service


def safe(page):
    """Nothing of what is shown became a part of the page, and nothing sticks out of it."""
    expect(page.locator("main")).to_be_visible()
    assert page.locator("main script, main img, main a[href^='javascript'], main [onerror], main [onload]").count() == 0
    assert page.locator("main [onfocus], main b, main i").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_two_hundred_hostile_files_are_listed_and_nothing_of_them_acts(hostile_site, visit):
    page = visit(hostile_site, "/?q=needle")
    seen = 0
    for _ in range(30):
        safe(page)
        seen += page.locator(".card").count()
        onward = page.get_by_role("link", name="more →")
        if not onward.count():
            break
        first = page.locator(".card").first.get_attribute("data-rank")
        onward.click()
        expect(page.locator(".card").first).not_to_have_attribute("data-rank", first)
    assert seen >= 20  # a question ends with its candidates


def test_each_hostile_file_is_found_opened_and_picked(hostile_site, visit):
    page = visit(hostile_site)
    for number, path in list(enumerate(sorted(hostile_site.files)))[::9]:
        if path.startswith("200/"):
            continue
        page.goto(f"/?q=symbol:needle_{number}")
        safe(page)
        page.locator(".card a.pick").first.click()
        expect(page.locator(".picks li")).to_have_count(1)
        safe(page)
        page.locator(".card a.open").first.click()
        expect(page.locator(".row").first).to_contain_text(f"needle_{number}")
        safe(page)


def test_hostile_names_are_facets_that_narrow_to_what_they_say(hostile_site, visit):
    page = visit(hostile_site, "/?q=needle&path=" + quote("/*/*/"))
    folders = page.locator("[data-facet=path]")
    for index in range(min(folders.count(), 4)):
        page.goto("/?q=needle")
        folder = page.locator("[data-facet=path]").nth(index)
        folder.click()
        expect(page.locator(".chip")).to_have_count(1)
        expect(page.locator(".card").first).to_be_visible()
        safe(page)


def test_a_line_of_a_million_characters_is_cut_and_breaks_nothing(hostile_site, visit):
    page = visit(hostile_site, file_url(HOSTILE.repo, "200/wide.py", HOSTILE.branch), width=390)
    expect(page.locator(".cut")).to_contain_text("999,")
    assert len(page.content()) < 50_000
    safe(page)


@pytest.mark.parametrize("target", ["/repositories", f"/repository?repo={quote(HOSTILE.repo)}", "/"])
def test_hostile_repositories_are_shown_as_text(hostile_site, visit, target):
    page = visit(hostile_site, target)
    expect(page.locator("main")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator("main")).to_contain_text("\\u202eevil")
    safe(page)


@pytest.mark.parametrize("query", PARTS)
def test_a_hostile_query_is_a_query(site, visit, query):
    page = visit(site, "/?q=" + quote(query.encode("utf-8", "surrogateescape")))
    safe(page)
    page.goto("/?lang=" + quote(query.encode("utf-8", "surrogateescape")) + "&q=retry")
    safe(page)


# ------------------------------------------------------------------------------------------------------- keys and sites


def test_a_key_is_asked_for_kept_in_a_cookie_and_forgotten(keyed_site, visit):
    page = visit(keyed_site, "/?q=retry&lang=python")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("cq_guest_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is not known here.")
    page.get_by_label("Key", exact=True).fill(keyed_site.keys["guest"])
    page.keyboard.press("Enter")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".chip")).to_contain_text("python")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Lax")
    assert page.evaluate("document.cookie") == ""
    page.locator("#q").fill("symbol:Client")
    expect(page.locator(".card .path").first).to_contain_text("client.py")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


def test_who_was_signed_out_while_typing_comes_back_to_the_search(keyed_site, visit):
    page = visit(keyed_site)
    page.get_by_label("Key", exact=True).fill(keyed_site.keys["guest"])
    page.keyboard.press("Enter")
    expect(page.locator("#q")).to_be_visible()
    page.context.clear_cookies()
    page.locator("#q").fill("symbol:ParseConfig")
    page.get_by_role("alert").get_by_role("link", name="Sign in").click()
    page.get_by_label("Key", exact=True).fill(keyed_site.keys["guest"])
    page.keyboard.press("Enter")
    expect(page.locator(".card .path")).to_have_text(["src/parse.go"])
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_key_shows_what_it_may_see_and_no_more(keyed_site, visit):
    page = visit(keyed_site)
    page.get_by_label("Key", exact=True).fill(keyed_site.keys["guest"])
    page.keyboard.press("Enter")
    page.locator("#q").fill("unlock the door")
    expect(page.locator("#results h1")).to_contain_text("unlock the door")
    assert "vault" not in page.locator("main").inner_text()
    page.goto("/file?repo=example.org/acme/vault&path=vault.py")
    expect(page.get_by_role("alert")).to_contain_text("Not Found")
    page.goto("/repositories")
    expect(page.locator(".repositories")).not_to_contain_text("vault")


def test_a_key_that_only_searches_is_shown_a_search_and_told_what_it_lacks(keyed_site, visit):
    page = visit(keyed_site)
    page.get_by_label("Key", exact=True).fill(keyed_site.keys["blind"])
    page.keyboard.press("Enter")
    page.locator("#q").fill("ParseConfig")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_role("link", name="Repositories")).to_have_count(0)
    page.locator(".card a.open").first.click()
    expect(page.get_by_role("alert")).to_contain_text("lacks the scope read")


def test_every_path_of_the_page_needs_a_key_but_for_its_assets(keyed_site):
    for target in ("/", "/?q=retry", "/file?repo=a&path=b", "/prompt", "/repositories", "/events", "/lines?repo=a"):
        reply = keyed_site.ask("GET", target)
        assert reply.status == 401, target
        assert b"Sign in" in reply.body
    assert keyed_site.ask("GET", "/static/x/page.css", check=False).status == 200


def test_the_cookie_opens_the_page_and_not_rest(keyed_site):
    cookie = {"Cookie": f"{COOKIE}={keyed_site.keys['ops']}"}
    assert keyed_site.ask("GET", "/repositories", headers=cookie).status == 200
    assert keyed_site.ask("GET", "/v1/repositories", headers=cookie).status == 401
    assert keyed_site.ask("POST", "/v1/search", {"query": "x"}, headers=cookie).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
    ],
)
@pytest.mark.parametrize("target", ["/jobs/cancel", "/jobs/retry", "/jobs/want", "/sign-in", "/sign-out"])
def test_another_site_changes_nothing_with_a_visitors_cookie(keyed_site, target, headers):
    sent = {"Cookie": f"{COOKIE}={keyed_site.keys['ops']}", "Content-Type": "application/x-www-form-urlencoded"}
    reply = keyed_site.ask("POST", target, raw=b"repo=example.org/acme/shop", headers=sent | headers, check=False)
    assert reply.status == 403
    assert b"another site" in reply.body


def test_a_form_of_the_page_itself_is_taken():
    assert is_same_site({"sec-fetch-site": "same-origin"})
    assert is_same_site({"origin": "https://code.example:8443", "host": "code.example:8443"})
    assert not is_same_site({"origin": "", "host": ""})


def test_cancelling_needs_a_key_that_may(keyed_site):
    for name, status in (("guest", 403), ("ops", 404)):
        sent = {"Cookie": f"{COOKIE}={keyed_site.keys[name]}", "Sec-Fetch-Site": "same-origin"}
        assert keyed_site.ask("POST", "/jobs/cancel", raw=b"repo=none", headers=sent).status == status


@pytest.mark.parametrize(
    "next_",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=y"],
)
def test_signing_in_leads_nowhere_else(keyed_site, next_):
    form = f"key={keyed_site.keys['guest']}".encode()
    reply = keyed_site.ask("POST", f"/sign-in?next={quote(next_)}", raw=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (reply.status, reply.headers["Location"]) == (303, "/")


def test_what_stands_around_a_key_is_no_header(keyed_site):
    same = {"Sec-Fetch-Site": "same-origin"}
    for key in (b"a%0d%0aX-Evil: 1", b"%00", b"%ff", b"k" * 5000, b""):
        reply = keyed_site.ask("POST", "/sign-in", raw=b"key=" + key, headers=same, check=False)
        assert reply.status in (401, 413)
    for cookie in (f"{COOKIE}=a\tb", f'{COOKIE}="', "=;;=", f"{COOKIE}=" + "x" * 5000):
        assert keyed_site.ask("GET", "/", headers={"Cookie": cookie}).status == 401


def test_every_answer_of_the_page_has_the_strict_policy(keyed_site):
    key = keyed_site.keys["ops"]
    for target in ("/", "/?q=%22", "/file?repo=a&path=b", "/repositories", "/static/x/page.js", "/static/none"):
        for given in (key, ""):
            headers = keyed_site.ask("GET", target, key=given, check=False).headers
            assert headers["Content-Security-Policy"] == POLICY
            assert headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in POLICY


def test_the_rate_of_a_key_holds_for_the_page_too(embedded_site):
    service = embedded_site(rate_limit=60)
    statuses = [service.ask("GET", "/?q=retry").status for _ in range(15)]
    assert statuses[0] == 200
    reply = service.ask("GET", "/")
    assert (statuses[-1], reply.status) == (429, 429)
    assert b"requests a minute" in reply.body
