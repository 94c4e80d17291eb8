"""The file view: numbers, ranges, outline, matches."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from site_content import CONTENT, SHOP, SHOP_DEV

from codequarry.store import open_store
from codequarry.types import Source


def test_a_hit_opens_its_file_at_its_lines(any_site, visit):
    page = visit(any_site, "/?q=symbol:step_20")
    page.locator(".card a.open").first.click()
    expect(page.locator("h1 .path")).to_have_text("src/long.py")
    expect(page).to_have_url(re.compile(r"#L61-L80$|#L\d+-L\d+$"))
    expect(page.locator(".row.aimed").first).to_be_in_viewport()
    expect(page.locator(".row")).to_have_count(CONTENT["src/long.py"].count("\n"))
    text = page.locator("#L77 .t").inner_text()
    assert text.rstrip("\n") == CONTENT["src/long.py"].split("\n")[76]


def test_the_matches_of_the_search_are_marked_and_led_to(site, visit):
    page = visit(site, "/?q=/invoice|rounded/")
    page.locator(".card a.open").filter(has_text="src/long.py").click()
    line = page.locator(".row.hit").filter(has_text="an invoice is rounded here")
    expect(line.locator("mark")).to_have_text(["invoice", "rounded"])
    page.locator(".head").get_by_role("link", name=line.locator(".n").inner_text(), exact=True).click()
    expect(line).to_be_in_viewport()
    expect(line).to_have_class(re.compile("aimed"))


def test_a_range_of_lines_is_an_address(site, visit):
    target = f"/file?repo={SHOP.repo}&path=src/long.py"
    page = visit(site, f"{target}#L10-L12")
    expect(page.locator(".row.aimed .n:first-child")).to_have_text(["10", "11", "12"])
    page.locator("#L40 > .n").click()
    expect(page).to_have_url(re.compile("#L40$"))
    page.locator("#L44 > .n").click(modifiers=["Shift"])
    expect(page).to_have_url(re.compile("#L40-L44$"))
    expect(page.locator(".row.aimed")).to_have_count(5)
    page.reload()
    expect(page.locator(".row.aimed")).to_have_count(5)


def test_the_lines_of_the_address_are_what_is_picked(site, visit):
    page = visit(site, f"/file?repo={SHOP.repo}&path=src/client.py")
    expect(page.locator("a.pick")).to_have_text("+ prompt")
    page.locator("#L4 > .n").click()
    page.locator("#L5 > .n").click(modifiers=["Shift"])
    expect(page.locator("a.pick")).to_have_text("+ prompt, lines 4–5")
    page.keyboard.press("p")
    expect(page.locator(".picks .name")).to_have_text("src/client.py:4-5")
    expect(page.locator("#prompt-text")).to_have_value(re.compile("src/client.py:4-5"))


def test_the_outline_lists_what_is_defined_and_leads_there(any_site, visit):
    page = visit(any_site, f"/file?repo={SHOP.repo}&path=src/client.py")
    expect(page.locator(".outline li bdi")).to_have_text(["Client", "charge", "retry"])
    page.locator(".outline").get_by_role("link", name="retry").click()
    expect(page).to_have_url(re.compile("#L7$"))
    expect(page.locator("#L7")).to_have_class(re.compile("aimed"))


def test_a_file_of_another_branch_is_read_there(site, visit):
    page = visit(site, f"/file?repo={SHOP.repo}&path=src/new.py&branch={SHOP_DEV.branch}")
    expect(page.locator(".row").first).to_contain_text("def jitter")


def test_a_file_that_is_not_there_is_told_with_what_comes_near(site, visit):
    page = visit(site, f"/file?repo={SHOP.repo}&path=src/klient.py")
    expect(page.get_by_role("alert")).to_contain_text("src/client.py")
    page.get_by_role("link", name="Search", exact=True).click()
    expect(page.get_by_role("heading", name="Ask about the code")).to_be_visible()


def test_a_page_that_there_is_not_is_said_as_a_page_with_the_box_to_search(site, visit):
    page = visit(site, "/nowhere")
    expect(page.get_by_role("alert")).to_contain_text("There is no such page.")
    page.locator("#q").fill("ParseConfig")
    page.keyboard.press("Enter")
    expect(page.locator(".card .path").first).to_have_text("src/parse.go")
    program = site.ask("GET", "/nowhere", check=False)
    assert program.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("target", ["/repository?repo=none", "/file?repo=none&path=a", "/prompt?budget=many"])
def test_an_error_tells_a_person_nothing_that_is_for_programs(site, visit, target):
    page = visit(site, target)
    error = page.get_by_role("alert")
    expect(error).to_contain_text("Request")
    expect(error).not_to_contain_text("/v1/")
    expect(error).not_to_contain_text("`")
    if "none" in target:
        page.get_by_role("link", name="Repositories").click()
        expect(page.locator(".repositories li").first).to_be_visible()


def test_what_was_picked_is_a_step_away_from_a_file_too(site, visit):
    page = visit(site, "/?q=ParseConfig")
    page.locator(".card a.pick").first.click()
    expect(page.locator(".picks li")).to_have_count(1)
    page.locator(".card a.open").first.click()
    expect(page.get_by_role("link", name="Prompt, 1 picked")).to_be_visible()
    page.keyboard.press("g")
    expect(page.locator("#prompt-text")).to_have_value(re.compile("parse.go"))


def test_lines_that_were_picked_are_not_offered_again(site, visit):
    page = visit(site, "/?q=/invoice|rounded/")
    card = page.locator(".card").filter(has=page.locator(".path", has_text="src/long.py"))
    card.locator("a.pick").click()
    expect(page.locator(".picks li")).to_have_count(1)
    card.locator("a.open").click()
    pick = page.locator(".file a.pick")
    expect(pick).to_have_text(re.compile(r"^✓ lines \d+–\d+ in the prompt$"))
    page.locator("#L4 > .n").click()
    expect(pick).to_have_text("+ prompt, line 4")


def test_a_very_long_file_comes_in_parts_and_a_line_leads_to_its_part(site, visit):
    from builders import publish

    long = Source("example.org/acme/long", "main")
    store = open_store(site.parts.backend.location)
    publish(store, long, {"numbers.txt": "".join(f"number {number}\n" for number in range(1, 9001))}, lines=50)
    store.close()
    page = visit(site, f"/file?repo={long.repo}&path=numbers.txt")
    expect(page.locator(".row")).to_have_count(4000)
    page.locator(".pages a").filter(has_text="8,001–9,000").first.click()
    expect(page.locator(".row").last).to_contain_text("number 9000")
    page.goto(f"/file?repo={long.repo}&path=numbers.txt#L4500")
    expect(page.locator("#L4500")).to_have_class(re.compile("aimed"))
    expect(page.locator("#L4500")).to_contain_text("number 4500")
