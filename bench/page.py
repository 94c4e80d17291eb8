#!/usr/bin/env python3
"""From the last key to the answer on the screen, in a real Chromium, and the service's own part of it.

    bench/page.py ROOT [--count 50]

ROOT is indexed, the page is served on this machine, and questions drawn from the tree are typed. The clock runs in the page: from
the last key until the browser has painted the answer. The page waits a moment after each key for the next one; that is included.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import p50, p95
from questions import draw

CLOCK = """() => {
  window.painted = [];
  let pressed = 0;
  document.getElementById("q").addEventListener("input", () => { pressed = performance.now(); }, true);
  new MutationObserver(() => {
    if (!pressed) return;
    const since = pressed;
    pressed = 0;
    requestAnimationFrame(() => {
      const after = new MessageChannel();  // a message comes after the frame is painted
      after.port1.onmessage = () => window.painted.push(performance.now() - since);
      after.port2.postMessage(0);
    });
  }).observe(document.getElementById("results"), { childList: true });
}"""

ANSWERED = """() => {
  const asked = performance.getEntriesByType("resource").filter((entry) => entry.name.includes("part=results")).pop();
  return asked.responseEnd - asked.requestStart;
}"""


def main() -> None:
    options = _arguments()
    questions = draw(options.root, options.count)["words"]
    with tempfile.TemporaryDirectory(prefix="codequarry-page-") as folder:
        index = Path(folder) / "index"
        command = [sys.executable, "-m", "codequarry", "--store", str(index)]
        subprocess.run([*command, "index", str(options.root), "--quiet"], check=True)
        with _served(command) as url, _chromium() as browser:
            shown, answered = _typed(browser, url, questions)
    print(f"{len(shown)} questions, last key to painted answer: p50 {p50(shown):.0f} ms, p95 {p95(shown):.0f} ms")
    print(f"of it the service, with the way there and back: p50 {p50(answered):.0f} ms, p95 {p95(answered):.0f} ms")


@contextmanager
def _served(command: list[str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    process = subprocess.Popen([*command, "serve", "--port", str(port), "--no-work"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url).close()
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise SystemExit("there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def _typed(browser: Any, url: str, questions: list[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of each question: until its answer is painted, and from its request to the end of the response."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{url}?q=x")
    page.evaluate(CLOCK)
    shown, answered = [], []
    for question in questions:
        page.locator("#q").fill(question[:-1])
        page.wait_for_timeout(250)
        page.wait_for_selector("#results:not([aria-busy])")
        page.wait_for_timeout(100)
        before = page.evaluate("painted.length")
        page.evaluate("performance.clearResourceTimings()")
        page.locator("#q").press("End")
        page.keyboard.type(question[-1])
        page.wait_for_function("before => painted.length > before", arg=before)
        shown.append(page.evaluate("painted.at(-1)"))
        answered.append(page.evaluate(ANSWERED))
    return shown, answered


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--count", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
