"""The search view, as a person uses it."""

from __future__ import annotations

import re
from urllib.parse import quote

from playwright.sync_api import expect


def titles(page):
    return page.locator(".card .path").all_inner_texts()


def test_what_is_typed_is_answered_without_a_key_more(any_site, visit):
    page = visit(any_site)
    page.locator("#q").press_sequentially("where are payments retried")
    expect(page.locator(".card .path").first).to_have_text("src/client.py")
    expect(page).to_have_url(re.compile(r"/\?q=where%20are%20payments%20retried$"))
    expect(page).to_have_title("where are payments retried · codequarry")
    assert page.locator("#q").input_value() == "where are payments retried"


def test_a_hit_shows_its_code_with_the_lines_and_words_that_match(any_site, visit):
    page = visit(any_site, "/?q=retry+attempts+path:src")
    card = page.locator(".card").filter(has_text="src/client.py")
    line = card.locator(".row").filter(has_text="def retry(self, call, attempts)")
    expect(line).to_have_class("row hit")
    expect(line.locator(".n").first).to_have_text("7")
    expect(line.locator("mark")).to_have_text(["retry", "attempts"])
    expect(line.locator(".k").first).to_have_text("def")  # coloured as a keyword
    expect(card.locator(".row").filter(has_text="continue")).to_have_class("row")


def test_a_hit_says_where_it_stands_and_how_fresh_it_is(any_site, visit):
    page = visit(any_site, "/?q=ParseConfig")
    card = page.locator(".card").filter(has_text="src/parse.go")
    expect(card).to_contain_text("example.org/acme/shop")
    expect(card.locator(".facts")).to_contain_text("cccccccc")
    expect(card.locator(".facts")).to_contain_text(re.compile(r"indexed (just now|\d+ minutes? ago)"))
    expect(card.locator(".symbol")).to_have_text("ParseConfig")
    expect(card.get_by_role("link", name="Permalink")).to_have_attribute(
        "href", f"https://github.com/acme/shop/blob/{'c' * 40}/src/parse.go#L1-L6"
    )


def test_the_same_code_elsewhere_is_listed_and_opens(any_site, visit):
    page = visit(any_site, "/?q=symbol:Client")
    page.get_by_text(re.compile("^also in")).click()
    other = page.locator(".also li a").filter(has_text=re.compile("lib/client.py|src/client.py")).first
    path = other.locator("bdi").nth(1).inner_text()
    other.click()
    expect(page.locator("h1 .path")).to_have_text(path)


def test_an_older_answer_never_overtakes_a_newer_one(site, visit):
    page = visit(site)
    held = []
    page.route(re.compile(r"q=retry&part"), lambda route: held.append(route))
    page.locator("#q").fill("retry")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    page.locator("#q").fill("ParseConfig")
    expect(page.locator(".card .path").first).to_have_text("src/parse.go")
    for route in held:
        route.fulfill(body="<p>an overtaken answer</p>", content_type="text/html")
    page.locator("#q").press("End")
    expect(page.locator(".card .path").first).to_have_text("src/parse.go")
    assert held
    assert "overtaken" not in page.locator("#results").inner_text()


def test_a_query_that_cannot_be_read_is_explained_at_its_place(site, visit):
    page = visit(site, "/?q=retry")
    page.locator("#q").fill('retry "open')
    error = page.get_by_role("alert")
    expect(error).to_contain_text("never closed")
    expect(error.locator(".place mark")).to_have_text('"')
    expect(error).not_to_contain_text("--plain")  # a link does it here
    expect(page.locator("#q")).to_have_attribute("aria-invalid", "true")
    error.get_by_role("link", name="as it stands").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("#q")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator(".chip")).to_contain_text("plain text")


def test_an_answer_without_hits_says_why_and_offers_what_would_match(any_site, visit):
    page = visit(any_site, "/?q=retry&lang=go&path=/jobs")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page.locator(".note").first).to_be_visible()
    offer = page.locator(".empty li").filter(has_text="without any of the filters")
    offer.get_by_role("link").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".chip")).to_have_count(0)


def test_an_answer_without_hits_and_offers_says_what_else_to_do(site, visit):
    page = visit(site, "/?q=/zzyzxq/")
    expect(page.locator(".empty")).to_contain_text("Other words may find it")
    page.locator(".empty").get_by_role("link", name="Repositories").click()
    expect(page.get_by_role("heading", name="Repositories")).to_be_visible()


def test_the_words_of_a_phrase_that_stands_nowhere_are_offered(site, visit):
    page = visit(site, "/?q=" + quote('"attempts retry"'))
    page.locator(".empty").get_by_role("link", name="the words of the phrase").click()
    expect(page.locator("#q")).to_have_value("attempts retry")
    expect(page.locator(".card .path").first).to_be_visible()


def test_facets_count_and_narrow_and_can_be_taken_away_again(any_site, visit):
    page = visit(any_site, "/?q=retry")
    both = set(titles(page))
    facet = page.locator("[data-facet=lang]").filter(has_text="markdown")
    expect(facet.locator(".count")).to_have_text("1")
    facet.click()
    expect(page.locator(".card .path")).to_have_text(["README.md"])
    expect(page).to_have_url(re.compile(r"lang=markdown"))
    page.get_by_role("link", name="lang: markdown").click()
    expect(page.locator(".chip")).to_have_count(0)
    assert set(titles(page)) == both


def test_every_kind_of_facet_is_offered(site, visit):
    page = visit(site, "/?q=retry+backoff+attempts")
    names = {one.get_attribute("data-facet") for one in page.locator("[data-facet]").all()}
    assert {"repo", "lang", "path", "kind", "branch"} <= names
    page.locator("[data-facet=branch]").filter(has_text="dev").click()
    expect(page.locator(".chip")).to_contain_text("branch: dev")


def test_a_folder_of_the_facets_holds_what_is_in_it(site, visit):
    page = visit(site, "/?q=lang:python")
    page.locator("[data-facet=path]").filter(has_text="jobs").click()
    expect(page.locator("#count")).to_contain_text("14 files")
    assert all(path.startswith("jobs/") for path in titles(page))


def test_pages_go_on_and_back_in_order(site, visit):
    page = visit(site, "/?q=path:jobs")
    first = titles(page)
    page.get_by_role("link", name="more →").click()
    expect(page.locator(".card")).to_have_count(4)
    second = titles(page)
    assert sorted(first + second) == [f"jobs/job_{number:02}.py" for number in range(14)]
    page.get_by_role("link", name="← before").click()
    expect(page.locator(".card")).to_have_count(10)
    assert titles(page) == first


def test_more_lines_come_above_and_below_a_hit(any_site, visit):
    page = visit(any_site, "/?q=" + quote('"an invoice is rounded"'))
    card = page.locator(".card").filter(has_text="src/long.py")
    numbers = [int(number) for number in card.locator(".row .n:first-child").all_inner_texts()]
    card.get_by_role("link", name=re.compile("More lines above")).click()
    expect(card.locator(".row").first.locator(".n").first).to_have_text(str(numbers[0] - 20))
    card.get_by_role("link", name=re.compile("More lines below")).click()
    expect(card.locator(".row").last.locator(".n").first).to_have_text(str(numbers[-1] + 20))
    shown = [int(number) for number in card.locator(".row .n:first-child").all_inner_texts()]
    assert shown == list(range(numbers[0] - 20, numbers[-1] + 21))


def test_a_hit_says_how_many_more_places_of_its_file_match_and_leads_to_them(any_site, visit):
    page = visit(any_site, "/?q=" + quote('"the next step"'))
    page.get_by_role("link", name=re.compile("more places match")).click()
    expect(page.locator(".row.hit")).to_have_count(29)


def test_each_state_is_an_address_and_back_leads_through_them(site, visit):
    page = visit(site)
    page.locator("#q").fill("retry")
    page.locator("#q").press("Enter")
    expect(page.locator(".card").first).to_be_visible()
    page.locator("[data-facet=lang]").filter(has_text="markdown").click()
    expect(page.locator(".chip")).to_be_visible()
    page.locator("#q").fill("ParseConfig lang:go")
    page.locator("#q").press("Enter")
    expect(page.locator(".empty")).to_be_visible()
    page.reload()
    expect(page.locator(".empty")).to_be_visible()
    page.go_back()
    expect(page.locator(".card .path")).to_have_text(["README.md"])
    expect(page.locator("#q")).to_have_value("retry")
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Ask about the code")).to_be_visible()
    page.go_forward()
    expect(page.locator("#q")).to_have_value("retry")
    expect(page.locator(".card").first).to_be_visible()


def test_without_scripts_everything_of_a_search_can_be_done(site, visit):
    page = visit(site, scripts=False)
    page.locator("#q").fill("retry")
    page.get_by_role("button", name="Search").click()
    page.locator("[data-facet=lang]").filter(has_text="python").click()
    expect(page.locator(".chip")).to_contain_text("python")
    page.locator("#q").fill("retry attempts")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".chip")).to_contain_text("python")
    expect(page.locator("mark").first).to_be_visible()
    page.locator(".card a.pick").first.click()
    expect(page.locator(".tray li")).to_have_count(1)
    page.get_by_text("why", exact=True).nth(1).click()
    path = page.locator(".card .path").nth(1).inner_text()
    page.get_by_role("link", name="Explain its place").click()
    expect(page.get_by_role("heading", name=f"Why {path} is hit 2")).to_be_visible()
    expect(page.locator(".share").first).to_be_visible()
    page.get_by_role("link", name="← results").click()
    page.locator(".card a.open").first.click()
    expect(page.locator(".row.hit").first).to_be_visible()


def test_why_is_a_bar_for_each_share_of_the_score(any_site, visit):
    page = visit(any_site, "/?q=where+are+payments+retried")
    card = page.locator(".card").first
    card.get_by_text("why", exact=True).click()
    expect(card.locator(".sum")).to_be_visible()
    shares = [float(text) for text in card.locator(".share:not(.sum) .value").all_inner_texts()]
    score = float(card.locator(".sum .value").inner_text())
    assert len(shares) > 1
    assert abs(sum(shares) - score) < 0.001 * len(shares)
    widths = [float(bar.get_attribute("width")) for bar in card.locator(".share rect").all()]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0
    assert all(card.locator(".share:not(.sum) .reason").all_inner_texts())
    expect(card.locator(".leg")).to_have_count(2)
    expect(card.locator(".leg").first).to_contain_text(re.compile(r"words rank \d+"))


def test_examples_of_the_first_page_are_searches(site, visit):
    page = visit(site)
    page.get_by_role("link", name="where are retries configured").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("#q")).to_have_value("where are retries configured")


TRACE = """Charging fails when the connection breaks

Traceback (most recent call last):
  File "src/client.py", line 5, in charge
    return self.retry(lambda: self.post(amount), attempts=3)
ConnectionError"""


def test_a_stack_trace_is_pasted_with_its_line_breaks_and_stays_so(site, visit):
    page = visit(site, "/")
    page.evaluate("text => navigator.clipboard.writeText(text)", TRACE)
    page.locator("#q").focus()
    page.keyboard.press("Control+V")
    expect(page.locator("#q")).to_have_value(TRACE)
    expect(page.locator(".card .path").filter(has_text="client.py").first).to_be_visible()
    page.reload()
    expect(page.locator("#q")).to_have_value(TRACE)
    page.locator("#q").press("Control+A")
    page.keyboard.type("symbol:ParseConfig")
    page.keyboard.press("Enter")
    expect(page.locator(".card .path")).to_have_text(["src/parse.go"])
    page.go_back()
    expect(page.locator("#q")).to_have_value(TRACE)
