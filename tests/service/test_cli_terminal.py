import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.service.hits import numbered, reasons, render, window
from codequarry.service.progress import Meter, ago, describe, duration, size
from codequarry.service.records import dumps
from codequarry.service.terminal import Terminal, columns, cut, printable
from codequarry.types import Answer, Hit, Progress, Snippet, Source, Symbol

HOSTILE = "a\x1b[2J\r\n\t\x07\x9b\u202e\u2066\u200b\udcff\U000e0041\x7fb"
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


def hit(**fields):
    given = {
        "repo": "github.com/acme/api",
        "commit": "1a2b3c4d" * 5,
        "branch": "main",
        "path": "src/client.py",
        "start_line": 10,
        "end_line": 12,
        "language": "python",
        "symbol": "Client.get",
        "kind": "code",
        "score": 1.5,
        "url": "",
        "modified": False,
        "text": "def get(self):\n    return retry(self)\n",
        "matched_lines": (11,),
    }
    return Hit(**{**given, **fields})


def piped():
    return Terminal(io.StringIO(), io.StringIO())


def rich(width=80, color="always"):
    terminal = Terminal(io.StringIO(), io.StringIO(), color)
    terminal.rich, terminal.width = True, width
    return terminal


def plain(text):
    import re

    return re.sub("\x1b\\[[0-9;]*m", "", text)


@given(ANY_TEXT)
def test_what_is_shown_holds_no_character_that_acts_on_a_terminal(text):
    shown = printable(text)
    assert all(char.isprintable() or char == "\u3000" for char in shown)
    assert printable(shown) == shown


def test_hostile_characters_are_shown_as_escapes():
    assert printable(HOSTILE) == r"a\x1b[2J\r\n\t\x07\x9b\u202e\u2066\u200b\xff\U000e0041\x7fb"


@given(ANY_TEXT, st.integers(2, 40))
def test_cut_text_fits(text, width):
    kept = cut(printable(text), width)
    assert columns(kept) <= width
    assert kept == printable(text) or kept.endswith("…")


def test_wide_and_combining_characters_are_counted_as_they_stand():
    assert (columns("日本"), columns("e\u0301"), columns("abc")) == (4, 1, 3)
    assert cut("日本語", 5) == "日本…"
    assert cut("日本語", 4) == "日…"


@given(ANY_TEXT)
def test_json_is_valid_whatever_stands_in_a_text(text):
    for ascii_only in (True, False):
        written = dumps({"path": text}, ascii_only=ascii_only)
        assert json.loads(written) == {"path": text}
        written.encode("ascii" if ascii_only else "utf-8")
        assert "\n" not in written


def test_records_become_json_by_their_fields():
    record = Snippet(1, 2, "x", matched_lines=(1,))
    assert json.loads(dumps([record, Symbol("f", "function", 3), Source("r", "b")])) == [
        {
            "start_line": 1,
            "end_line": 2,
            "text": "x",
            "symbol": "",
            "kind": "",
            "breadcrumb": "",
            "matched_lines": [1],
            "symbol_line": 0,
        },
        {"name": "f", "kind": "function", "line": 3},
        {"repo": "r", "branch": "b"},
    ]


def test_in_a_pipe_a_hit_is_a_line_and_its_code_numbered_as_grep_does():
    answer = Answer(
        "q", [hit(), hit(path="b.py", modified=True, commit="", symbol="", matched_lines=(), also_in=[{}, {}])]
    )
    assert list(render(answer, piped())) == [
        "1 github.com/acme/api src/client.py:10-12 Client.get (code, 1a2b3c4d)",
        "10-def get(self):",
        "11:    return retry(self)",
        "12-",
        "",
        "2 github.com/acme/api b.py:10-12 (code, modified, also in 2 more)",
        "10-def get(self):",
        "11-    return retry(self)",
        "12-",
    ]


def test_in_a_pipe_code_is_what_stands_in_the_file_and_names_stay_on_one_line():
    text = "x = '" + "y" * 5000 + "\x1b[31m'\t#\r"
    lines = list(render(Answer("q", [hit(path="a\nb.py", text=text, end_line=10, matched_lines=())]), piped()))
    assert lines[0].startswith(r"1 github.com/acme/api a\nb.py:10-10")
    assert lines[1:] == [f"10-{text}"]


def test_other_sides_of_a_file_are_named_below_its_hit():
    answer = Answer("q", [hit(related=[hit(path="a\nb.h", start_line=3, end_line=9), hit(path="b.d.ts", symbol="")])])
    expected = [r"related a\nb.h:3-9  Client.get", "related b.d.ts:10-12"]
    assert list(render(answer, piped()))[-2:] == expected
    assert [plain(line).strip() for line in list(render(answer, rich()))[-2:]] == expected


def test_further_snippets_follow_their_hit():
    answer = Answer("q", [hit(snippets=[Snippet(30, 30, "def put(): ...", symbol="put")])])
    assert list(render(answer, piped()))[-2:] == ["--", "30-def put(): ..."]
    assert plain(list(render(answer, rich()))[-1]).strip() == "also lines 30-30  put"


@given(ANY_TEXT.filter(lambda text: "\n" not in text), st.sampled_from(["python", "go", "no-such-language", ""]))
def test_on_a_terminal_hostile_code_is_shown_and_not_obeyed(text, language):
    lines = list(render(Answer("q", [hit(text=text, end_line=10, language=language, path=text, symbol=text)]), rich()))
    for line in lines:
        assert printable(plain(line)) == plain(line)


@given(st.lists(st.text(alphabet="ab ='\"#日\t(", max_size=120), min_size=1, max_size=5), st.integers(20, 60))
def test_on_a_terminal_no_line_of_code_is_wider_than_it(lines, width):
    for shown in numbered(lines, 98, "python", rich(width)):
        assert columns(plain(shown)) <= width


@given(st.lists(st.text(alphabet="ab ='\"#日(\\", max_size=30), min_size=1, max_size=5))
def test_colours_change_nothing_but_colours(lines):
    painted = [plain(line) for line in numbered(lines, 1, "python", rich(200))]
    assert painted == list(numbered(lines, 1, "python", rich(200, "never")))


def test_matched_lines_are_marked_on_a_terminal():
    lines = [plain(line) for line in numbered(["a", "b"], 9, "", rich(), {10})]
    assert lines == ["   9  a", "> 10  b"]


def test_a_terminal_gets_the_lines_around_the_matches_and_is_told_of_the_others():
    text = "\n".join(f"line {number}" for number in range(100, 150))
    answer = Answer("q", [hit(text=text, start_line=100, end_line=149, matched_lines=(130, 131))])
    lines = [plain(line) for line in render(answer, rich())][1:]
    assert lines[:3] == ["  129  line 129", "> 130  line 130", "> 131  line 131"]
    assert lines[-1].strip() == "… 38 more lines"
    assert len(lines) == 13
    assert len(list(render(answer, piped()))) == 51
    assert len(list(render(answer, piped(), most_lines=3))) == 4


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=8), st.integers(1, 20))
def test_the_window_lies_within_and_holds_the_most_matches(count, matched, most):
    lines = sorted(100 + line for line in matched if line < count)
    shown = window(100, count, lines, most)
    held = len(set(shown) & set(lines))
    assert len(shown) == min(count, most)
    assert shown.start >= 100
    assert shown.stop <= 100 + count
    for start in range(100, 100 + count - len(shown) + 1):
        assert held >= len(set(range(start, start + len(shown))) & set(lines))


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=8), st.integers(1, 20), st.integers(0, 59))
def test_the_window_begins_with_the_line_of_the_name_as_far_as_there_are_lines(count, matched, most, named):
    shown = window(100, count, sorted(100 + line for line in matched if line < count), most, 100 + named)
    assert len(shown) == min(count, most)
    assert shown.start >= 100 and shown.stop <= 100 + count
    if named < count:
        assert 100 + named in shown
        assert shown.start >= 100 + named - 1 or shown.stop == 100 + count


def test_a_long_chunk_is_shown_from_the_name_that_answers():
    text = "\n".join(f"line {number}" for number in range(100, 150))
    answer = Answer("q", [hit(text=text, start_line=100, end_line=149, matched_lines=(101, 102), symbol_line=130)])
    lines = [plain(line) for line in render(answer, rich())][1:]
    assert lines[:2] == ["  129  line 129", "  130  line 130"]


def test_an_explanation_is_flat_and_short():
    why = {"words": {"rank": 1, "score": 12.34567}, "features": {"path": 0.5}, "legs": ["words", "vectors"]}
    assert list(reasons(why)) == ["words.rank 1  words.score 12.35", "features.path 0.5", "legs words,vectors"]


@pytest.mark.parametrize(("seconds", "says"), [(0.44, "0.4 s"), (59.4, "59 s"), (185, "3:05"), (3723, "1:02:03")])
def test_durations_are_for_people(seconds, says):
    assert duration(seconds) == says


def test_sizes_and_ages_are_for_people():
    assert [size(count) for count in (0, 999, 1500, 250_000, 12_345_678, 5e9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "250 kB",
        "12.3 MB",
        "5.0 GB",
    ]
    assert [ago(seconds) for seconds in (3, 60, 7300, 90_000, 200_000)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "1 day ago",
        "2 days ago",
    ]


def test_progress_says_how_much_how_fast_and_how_long():
    progress = Progress("reading", Source("r", "main"), 20, 80, 1_000_000, 4_000_000)
    assert describe(progress, 2.0) == "reading  20/80 files  1.0 MB  500 kB/s  6.0 s left  r@main"
    assert describe(Progress("listing"), 0.0) == "listing"


def test_a_log_is_not_filled_with_progress():
    terminal = piped()
    meter = Meter(terminal)
    for done in range(100):
        meter(Progress("reading", None, done, 100))
    meter.clear()
    assert terminal.err.getvalue() == ""


def test_a_bar_stays_on_its_line_and_is_taken_away():
    terminal = piped()
    terminal.err_is_terminal = True
    meter = Meter(terminal)
    meter(Progress("reading", Source("r\x1b[2J", "main"), 50, 100))
    meter.clear()
    written = terminal.err.getvalue()
    assert "[########........] reading  50/100 files" in written
    assert "\n" not in written
    assert "\x1b" not in written
    assert written.endswith("\r")


def test_what_is_done_at_once_shows_no_bar():
    terminal = piped()
    terminal.err_is_terminal = True
    meter = Meter(terminal, patience_s=3600)
    meter(Progress("reading", None, 50, 100))
    meter.clear()
    assert terminal.err.getvalue() == ""


def test_colours_are_off_in_a_pipe_and_where_they_are_not_wanted(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    def colors(color="auto", stream=Screen):
        return Terminal(stream(), stream(), color).colors

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colors()
    assert not colors(stream=io.StringIO)
    assert not colors("never")
    assert colors("always", io.StringIO)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colors()
    assert colors("always")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not colors()


def test_pygments_is_imported_for_colours_only():
    code = (
        "import sys, io; from codequarry.service.hits import numbered; from codequarry.service.terminal import Terminal;"
        "list(numbered(['x'], 1, 'python', Terminal(io.StringIO(), io.StringIO()))); sys.exit('pygments' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
