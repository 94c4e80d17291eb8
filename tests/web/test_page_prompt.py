"""The prompt tray: what is picked is what `PromptBuilder` makes of it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from codequarry.service.security import ANYONE


def clipboard(page):
    return page.evaluate("navigator.clipboard.readText()")


def prompt(service, question, **options):
    given = {"budget": 4000, "format": "markdown", "filters": {}} | options
    return service.parts.backend.prompt(ANYONE, question, **given)


@pytest.mark.parametrize("form", ["markdown", "xml", "json"])
def test_what_is_built_for_a_question_is_what_the_library_builds(any_site, visit, form):
    question = "how is a payment retried?"
    page = visit(any_site, f"/?q={question}&format={form}")
    page.get_by_role("link", name="Build a prompt from this").click()
    expect(page.locator(".picks li").first).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#said")).to_have_text("Prompt copied")
    expected = prompt(any_site, question, format=form)
    assert clipboard(page) == expected.text
    expect(page.locator(".tokens strong")).to_have_text(f"{expected.tokens:,}")
    if form == "json":
        assert json.loads(clipboard(page))["snippets"]


def test_snippets_are_picked_reordered_dropped_and_copied(any_site, visit):
    page = visit(any_site, "/?q=/[Rr]etr/")
    for path in ("client.py", "README.md"):
        page.locator(".card").filter(has=page.locator(".path", has_text=path)).first.locator("a.pick").click()
        expect(page.locator(".picks .name").filter(has_text=path)).to_be_visible()
    expect(page.locator("a.pick.picked")).to_have_count(2)
    names = page.locator(".picks .name bdi")
    expect(names).to_have_text([re.compile("client.py"), "README.md"])
    page.get_by_role("link", name="Move README.md up").click()
    expect(names).to_have_text(["README.md", re.compile("client.py")])
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator("#said")).to_have_text("Prompt copied")
    text = clipboard(page)
    assert text.index("README.md:1-3") < text.index("client.py:1-12")
    assert "### [S1] example.org/acme/" in text
    page.reload()  # the tray is part of the address
    expect(names).to_have_text(["README.md", re.compile("client.py")])
    page.get_by_role("link", name="Drop README.md").click()
    expect(names).to_have_text([re.compile("client.py")])
    page.go_back()
    expect(names).to_have_count(2)
    page.get_by_role("link", name="Remove all").click()
    expect(page.locator(".tray")).to_have_count(0)


def test_snippets_that_are_picked_faster_than_the_service_answers_are_all_in_the_tray(site, visit):
    page = visit(site, "/?q=/[Rr]etr/")
    expect(page.locator("a.pick").nth(2)).to_be_visible()
    held, goes = [], []
    page.route(lambda url: "part=results" in url, lambda route: route.continue_() if goes else held.append(route))
    for key in "jpjpjp":
        page.keyboard.press(key)
    page.keyboard.press("g")
    expect(page.locator(".card.on")).to_have_attribute("data-rank", "3")
    goes.append(True)
    held[0].continue_()
    page.wait_for_url("**/prompt?**")
    expect(page.locator(".picks li")).to_have_count(3)


def test_what_is_typed_goes_before_links_that_wait(site, visit):
    page = visit(site, "/?q=/[Rr]etr/")
    expect(page.locator("a.pick").nth(1)).to_be_visible()
    held = []
    page.route(lambda url: "part=results" in url and "ParseConfig" not in url, lambda route: held.append(route))
    page.locator("a.pick").nth(0).click()
    page.locator("a.pick").nth(1).click()
    page.locator("#q").fill("ParseConfig")
    expect(page.locator(".card .path").first).to_have_text("src/parse.go")
    expect(page.locator(".picks li")).to_have_count(1)
    expect(page.locator("#q")).to_have_value("ParseConfig")


def test_picks_stay_while_other_things_are_searched(site, visit):
    page = visit(site, "/?q=ParseConfig")
    page.locator(".card a.pick").first.click()
    expect(page.locator(".picks li")).to_have_count(1)
    page.locator("#q").fill('"an invoice is rounded"')
    expect(page.locator(".card .path").first).to_have_text("src/long.py")
    page.locator(".card a.pick").first.click()
    expect(page.locator(".picks .name bdi")).to_have_text(["src/parse.go", "src/long.py"])


def test_the_budget_holds_and_what_does_not_fit_is_said(site, visit):
    page = visit(site, "/prompt/build?q=how+is+a+payment+retried&budget=4000")
    page.get_by_label("Budget in tokens").fill("250")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("heading", name="Left out")).to_be_visible()
    tokens = int(page.locator(".tokens strong").inner_text().replace(",", ""))
    assert 0 < tokens <= 250
    page.get_by_label("JSON").check()
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_label("JSON")).to_be_checked()
    assert json.loads(page.locator("#prompt-text").input_value())["snippets"]


def test_a_question_that_is_typed_here_is_built(site, visit):
    page = visit(site, "/prompt")
    expect(page.locator(".note")).to_contain_text("Nothing is picked")
    page.get_by_label("Question").fill("how is a payment retried?")
    page.get_by_role("button", name="Update").click()
    page.get_by_role("button", name="Build it for me").click()
    expect(page.locator("#prompt-text")).to_have_value(re.compile("client.py"))


@pytest.mark.parametrize(
    "query", ["budget=0", "budget=many", "budget=999999999", "format=yaml", "pick=nothing", "pick=1-2@x@a@b"]
)
def test_what_cannot_be_a_tray_is_refused_as_rest_refuses_it(site, query):
    reply = site.ask("GET", f"/prompt?q=retry&{query}")
    assert reply.status == 400
    assert reply.headers["Content-Type"].startswith("text/html")
    assert b'role="alert"' in reply.body


def test_a_pick_of_what_is_not_there_any_more_is_said_and_the_others_stay(site, visit):
    page = visit(site, "/?q=ParseConfig")
    page.locator(".card a.pick").first.click()
    expect(page.locator(".picks li")).to_have_count(1)
    page.goto(page.url.replace("/?", "/prompt?") + "&pick=1-2@abc@main@example.org/acme/shop@gone.py")
    expect(page.locator(".picks li").nth(1)).to_contain_text("has no file gone.py")
    expect(page.locator("#prompt-text")).to_have_value(re.compile("parse.go"))
