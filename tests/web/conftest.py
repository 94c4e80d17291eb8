"""A real Chromium before the real service. Whatever goes wrong in the browser fails the test in which it goes wrong.

On a machine without Chromium these tests are skipped and the end of the run says so; in CI they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.append(str(Path(__file__).parent.parent / "service"))  # its service on a real socket

from running import Running
from site_content import fill

from codequarry.service.security import new_key
from codequarry.settings import Settings
from codequarry.store import open_store
from codequarry.store.embedded import EmbeddedStore

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "the browser tests, tests/web: there is no Chromium here (Debian: apt-get install chromium)"


def pytest_terminal_summary(terminalreporter):
    if chromium() is None:
        terminalreporter.write_line(f"not run: {MISSING}")


def chromium() -> str | None:
    """Where the browser is."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser():
    """The browser; one for each module, since Playwright keeps an event loop for itself while it runs."""
    path = chromium()
    if path is None:
        if os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container there is no sandbox to be had; what is opened is our own.
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])


class Watch:
    """What went wrong in the pages of a test, and where they asked for something."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.hosts: set[str] = set()
        self.expected = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")

    def follow(self, page) -> None:
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on(
            "console",
            lambda said: (
                self.wrong.append(f"{said.type}: {said.text}")
                if said.type in ("error", "warning") and not self.expected.match(said.text)
                else None
            ),
        )


@pytest.fixture
def visit(browser):
    """Opens a page: `visit(service, "/?q=retry", width=390, scheme="dark", scripts=False)`."""
    watch = Watch()
    with ExitStack() as stack:

        def visit(service, target="/", *, width=1280, height=900, scheme="light", scripts=True):
            context = browser.new_context(
                base_url=service.url,
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                java_script_enabled=scripts,
            )
            stack.callback(context.close)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            page = context.new_page()
            watch.follow(page)
            context.on("page", watch.follow)
            page.goto(target)
            return page

        visit.watch = watch
        yield visit
        assert watch.wrong == []
        assert all(host.startswith("127.0.0.1:") for host in watch.hosts if host), watch.hosts


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory):
    """An index to copy."""
    folder = tmp_path_factory.mktemp("site") / "index"
    with closing(EmbeddedStore(folder, create=True)) as store:
        fill(store)
    return folder


@pytest.fixture
def embedded_site(tmp_path, prepared_site):
    """Starts a service over a copy of the index."""
    with ExitStack() as stack:

        def start(**given):
            data = tmp_path / f"data{len(list(tmp_path.iterdir()))}"
            shutil.copytree(prepared_site, data / "index")
            return stack.enter_context(Running(Settings(data, **{"rate_limit": 0, **given})))

        yield start


@pytest.fixture
def site(embedded_site):
    """A service without keys over the embedded store."""
    return embedded_site()


@pytest.fixture(params=["embedded", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def any_site(request, tmp_path):
    """The same over each kind of store."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded_site")()
        return
    settings = Settings(
        tmp_path,
        store=request.getfixturevalue("elasticsearch_url"),
        elasticsearch_index_prefix=request.getfixturevalue("elasticsearch_prefix"),
        rate_limit=0,
    )
    with closing(open_store(settings.store, create=True, settings=settings)) as store:
        fill(store)
    with Running(settings) as service:
        yield service


@pytest.fixture
def keyed_site(embedded_site):
    """A service with keys, by name: `guest` searches and reads, `ops` may do everything, `blind` only searches."""
    given = {"guest": ["search", "read"], "ops": ["search", "read", "admin", "webhook"], "blind": ["search"]}
    made = {name: new_key(name, scopes) for name, scopes in given.items()}
    running = embedded_site(api_keys=tuple(entry for _, entry in made.values()))
    running.keys = {name: key for name, (key, _) in made.items()}
    return running
