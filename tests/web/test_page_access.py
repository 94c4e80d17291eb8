"""Everybody can use it: axe-core finds nothing serious on any page, and the first load is small."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

AXE = "https://registry.npmjs.org/axe-core/-/axe-core-4.10.3.tgz"
AXE_SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"

FIRST_LOAD_BYTES = 150_000

VIEWS = [
    "/",
    "/?q=retry+a+payment",
    "/?q=retry&lang=go&path=/jobs",
    "/?q=%22open",
    "/file?repo=example.org/acme/shop&path=src/client.py&q=retry#L4-L6",
    "/file?repo=example.org/acme/shop&path=none",
    "/why?q=retry+a+payment&rank=1",
    "/why?q=retry+a+payment&rank=99",
    "/prompt",
    "/prompt/build?q=how+is+a+payment+retried",
    "/repositories",
    "/repository?repo=example.org/acme/shop",
]


@pytest.fixture(scope="session")
def axe():
    """The script, fetched once into the user's cache: as pinned, or not at all."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codequarry" / "axe-core-4.10.3.tgz"
    if not kept.exists():
        with urllib.request.urlopen(AXE, timeout=60) as reply:
            data = reply.read()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
    data = kept.read_bytes()
    assert hashlib.sha256(data).hexdigest() == AXE_SHA256, f"{kept} is not what is pinned; remove it"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def violations(page, axe):
    """What is serious or critical on the page as it stands, and where."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (one["id"], node["target"], node["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("target", VIEWS)
def test_no_page_keeps_anyone_out(site, visit, axe, target, scheme):
    page = visit(site, target, scheme=scheme)
    assert violations(page, axe) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nor_does_a_search_with_everything_open(site, visit, axe, width):
    page = visit(site, "/?q=retry+a+payment&kind=code", width=width)
    page.locator(".card a.pick").first.click()
    expect(page.locator(".picks li")).to_have_count(1)
    page.get_by_text("why", exact=True).first.click()
    expect(page.locator(".sum")).to_be_visible()
    page.locator(".also summary").first.click()
    assert violations(page, axe) == []
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page, axe) == []


def test_nor_does_signing_in(keyed_site, visit, axe):
    page = visit(keyed_site)
    assert violations(page, axe) == []
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page, axe) == []


def test_the_first_load_is_small(site, visit):
    page = visit(site)
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(sum(_sizes(request))))
    page.goto("/?q=retry+a+payment")
    expect(page.locator(".card").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert 3 <= len(sizes) <= 6
    assert sum(sizes) < FIRST_LOAD_BYTES


def _sizes(request):
    found = request.sizes()
    return found["responseBodySize"], found["responseHeadersSize"]
