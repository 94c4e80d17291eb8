"""The page without a mouse, and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


def test_a_whole_task_is_done_on_the_keyboard(any_site, visit):
    """From the question to a prompt in the clipboard, with a look into a file on the way."""
    page = visit(any_site)
    page.keyboard.press("/")
    page.keyboard.type("retry a payment")
    expect(page.locator(".card").nth(1)).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".card").nth(0)).to_have_class("card on")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".card").nth(1)).to_have_class("card on")
    page.keyboard.press("k")
    expect(page.locator(".card").nth(0)).to_have_class("card on")
    path = page.locator(".card .path").nth(0).inner_text()
    page.keyboard.press("e")
    expect(page.locator(".card").nth(0).locator(".bars")).to_be_visible()
    page.keyboard.press("y")
    expect(page.locator("#said")).to_have_text("Permalink copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert path in link
    page.keyboard.press("p")
    expect(page.locator(".picks li")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("h1 .path")).to_have_text(path)
    page.keyboard.press("j")
    expect(page.locator(".row.aimed")).to_have_count(1)
    page.go_back()
    page.keyboard.press("g")
    expect(page.locator("#prompt-text")).to_have_value(re.compile(re.escape(path)))
    button = page.get_by_role("button", name="Copy")
    for _ in range(40):
        if button.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Prompt copied")
    assert path in page.evaluate("navigator.clipboard.readText()")


def test_on_a_phone_what_was_picked_stays_in_sight_and_leads_to_the_prompt(site, visit):
    page = visit(site, "/?q=/[Rr]etr/", width=390, height=700)
    page.locator("a.pick").nth(2).click()
    way = page.get_by_role("link", name="Open", exact=True)
    expect(way).to_be_in_viewport()
    page.locator("a.pick").nth(0).click()
    expect(page.locator("a.pick.picked")).to_have_count(2)
    expect(way).to_be_in_viewport()
    way.click()
    expect(page.locator(".picks li")).to_have_count(2)


def test_the_list_of_keys_opens_and_closes(site, visit):
    page = visit(site)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("copy the permalink")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("/?jk")
    expect(page.locator("#q")).to_have_value("/?jk")


def test_focus_stays_where_it_was_when_something_is_picked(site, visit):
    page = visit(site, "/?q=retry")
    page.locator(".card").nth(1).locator("a.pick").focus()
    page.keyboard.press("Enter")
    expect(page.locator("a.pick.picked")).to_have_count(1)
    assert page.evaluate("document.activeElement.closest('.card')?.dataset.rank") == "2"
    page.locator(".card").nth(0).locator("a.pick").click()
    expect(page.locator(".picks li")).to_have_count(2)
    path = page.locator(".picks .name bdi").nth(0).inner_text()
    page.get_by_role("link", name=f"Move {path} down").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".picks .name bdi").nth(1)).to_have_text(path)
    assert page.evaluate("document.activeElement.id") == "main"  # it is the last now, and has no way down
    page.get_by_role("link", name=f"Move {path} up").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".picks .name bdi").nth(0)).to_have_text(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?q=retry+a+payment",
        "/?q=retry&lang=go&path=/jobs",
        "/?q=%22open",
        "/file?repo=example.org/acme/shop&path=src/client.py&q=retry",
        "/prompt/build?q=how+is+a+payment+retried",
        "/why?q=retry+a+payment&rank=1",
        "/repositories",
        "/repository?repo=example.org/acme/shop",
    ],
)
def test_nothing_is_wider_than_a_phone(site, visit, target, scheme):
    page = visit(site, target, width=390, height=844, scheme=scheme)
    expect(page.locator("main")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
