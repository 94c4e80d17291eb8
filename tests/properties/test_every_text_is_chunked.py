"""What holds for the chunks of every text: real trees, and whatever hypothesis makes up."""

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codequarry.ingest import chunks, languages
from codequarry.ingest.chunks import MAX_CHARS, MAX_LINES

ROOT = Path(__file__).parents[2]
NAMES = ["", *languages.LANGUAGES]

# Words that grammars and the reader of SQL know, in an order that none of them accepts, and line ends that are none.
words = st.sampled_from(
    [
        *"def class func fn if else end do { } ( ) [ ] < > : ; , = => -> # // /* */ <<EOF $$ @ | - * & a b1".split(),
        *"create table package function begin as insert into copy delimiter go -- \\ ' \\'".split(),
        *["'", '"', "`", "'''", '"""', "é", "ñ", "漢", "\t", "\r", "\x0c", "\u2028"],
    ]
)
line = st.lists(words, max_size=8).map(" ".join)
lines = st.lists(
    st.one_of(line, st.just(""), st.just("    "), line.map("    ".__add__), st.text(max_size=20)), max_size=140
)
texts = st.one_of(
    lines.map("\n".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    st.binary(max_size=600).map(lambda data: data.decode("latin-1")),
    st.tuples(line, st.integers(1, 3000)).map(lambda pair: (pair[0] + "\n") * pair[1]),
    st.tuples(line, st.integers(1, 1500)).map(lambda pair: pair[0] * pair[1]),
)


def check(text, language, path="dir/file"):
    """Asserts all that is promised."""
    rows, data = text.split("\n"), text.encode()
    covered = set()
    before = 0
    for chunk in chunks.cut(text, language, path):
        assert before < chunk.start_line <= chunk.end_line <= len(rows)
        before = chunk.end_line
        within = "\n".join(rows[chunk.start_line - 1 : chunk.end_line])
        assert data[chunk.start_byte : chunk.end_byte] == within.encode()
        assert rows[chunk.start_line - 1].strip() and rows[chunk.end_line - 1].strip()
        assert chunk.start_line == chunk.end_line or (
            chunk.end_line - chunk.start_line < MAX_LINES and len(within) <= MAX_CHARS
        )
        assert chunk.breadcrumb.startswith(path) and len(chunk.breadcrumb) <= len(path) + 200
        assert "\n" not in chunk.breadcrumb
        for symbol in chunk.symbols:
            assert chunk.start_line <= symbol.line <= chunk.end_line
            assert symbol.name and symbol.kind
        assert len(set(chunk.symbols)) == len(chunk.symbols)
        covered.update(range(chunk.start_line, chunk.end_line + 1))
    assert covered >= {number for number, row in enumerate(rows, 1) if row.strip()}


@settings(max_examples=300)
@given(texts, st.sampled_from(NAMES))
def test_chunks_of_any_text_in_any_language_keep_what_is_promised(text, language):
    check(text, language)


@settings(max_examples=40)
@given(st.sampled_from(sorted(ROOT.glob("tests/languages/*/sample.*"))), st.data())
def test_chunks_of_a_sample_with_a_piece_cut_out_keep_what_is_promised(sample, data):
    text = sample.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    check(text[:start] + text[end:], sample.parent.name)
    check((text[:start] + text[end:]) * 8, sample.parent.name)


@settings(max_examples=25)
@given(texts, st.sampled_from(NAMES))
def test_the_same_text_is_cut_alike_again(text, language):
    assert chunks.cut(text, language, "f") == chunks.cut(text, language, "f")


@pytest.mark.parametrize("tree", ["stdlib", "repository"])
def test_chunks_of_real_files_keep_what_is_promised(tree):
    if tree == "repository":
        files = [path for folder in ("ingest", "codequarry", "docs", "tests") for path in (ROOT / folder).rglob("*.*")]
        files += ROOT.glob("*.*")
    else:
        stdlib = Path(sysconfig.get_paths()["stdlib"])
        files = sorted(stdlib.glob("*.py"))[::3] + sorted(stdlib.glob("*/*"))[::25]
    checked = 0
    for path in files:
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        check(text, languages.detect(path.name, text[:4096]), path.name)
        checked += 1
    assert checked > 20
