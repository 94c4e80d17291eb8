"""Words, parts and terms; globs; the token estimate."""

import re
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry import text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("parseHTTPHeader", ("parse", "http", "header")),
        ("snake_case_word", ("snake", "case", "word")),
        ("utf8Decode", ("utf", "8", "decode")),
        ("XMLHttpRequest2", ("xml", "http", "request", "2")),
        ("__init__", ("init",)),
        ("___", ()),
        ("Größe", ("grösse",)),
        ("日本語", ("日本", "本語")),
    ],
)
def test_parts_of_a_word(word, expected):
    assert text.parts(word) == expected


def test_the_two_spellings_of_a_name_share_their_whole_form():
    assert text.terms("readFile").split()[0] == text.terms("read_file").split()[0] == text.terms("readfile").split()[0]


def test_terms_keep_the_order_of_the_text():
    assert text.terms("open the files").split() == ["open", "the", "file"]


def test_a_question_of_stop_words_alone_keeps_them():
    assert text.question_terms("what is it") == ("what", "is", "it")


def test_names_without_a_term_are_the_filler():
    assert text.names_terms([]) == text.names_terms(["___"]) == text.FILLER


def test_cyrillic_words_are_found_by_their_own_terms():
    assert set(text.question_terms("Привет")) <= set(text.terms("func Привет_мир()").split())


@given(st.text())
def test_terms_are_separated_by_single_spaces_and_never_hold_white_space(anything):
    made = text.terms(anything)
    assert made == " ".join(made.split(" ")).strip()
    assert "  " not in made
    assert not re.search(r"[\t\n\r]", made)


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(alphabet=st.characters(codec="utf-8")))
def test_terms_of_lines_are_the_terms_of_the_text(first, second):
    both = f"{first}\n{second}"
    assert text.terms(both).split() == text.terms(first).split() + text.terms(second).split()


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_words_stand_in_the_text_as_they_are(anything):
    at = 0
    for word in text.words(anything):
        at = anything.index(word, at) + len(word)


def test_lone_surrogates_do_no_harm():
    assert text.words("a \ud800 b")[::2] == ["a", "b"] or text.words("a \ud800 b") == ["a", "b"]
    assert text.question_terms("\udcff\ud800 word")[-1] == "word"


def test_a_very_long_word_is_marked_in_raw():
    assert text.raw("a " + "x" * 500 + " b") == f"a {text.LONG} b"


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.go", "a.go", True),
        ("*.go", "x/y/a.go", True),
        ("*.go", "a.gox", False),
        ("/*.go", "x/a.go", False),
        ("src", "src/a/b.c", True),
        ("src", "lib/src/b.c", True),
        ("src/", "src/a", True),
        ("src/net", "src/net/http/a.go", True),
        ("src/net", "src/network/a.go", False),
        ("net/http", "src/net/http/a.go", False),
        ("**/http/*.go", "src/net/http/a.go", True),
        ("src/**", "src/a/b/c", True),
        ("src/*/c", "src/a/b/c", False),
        ("*.{ts,tsx}", "x/a.tsx", True),
        ("test_?.py", "test_a.py", True),
        ("[ab].py", "c.py", False),
        ("[!ab].py", "c.py", True),
        ("a+b.py", "aab.py", False),
        ("[", "[", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_globs(glob, path, matches):
    assert bool(re.fullmatch(text.glob_regex(glob), path)) is matches


@given(st.text(alphabet="ab*?[]{},!/\\.", max_size=12))
def test_every_glob_is_a_regular_expression(glob):
    re.compile(text.glob_regex(glob))


@given(st.text("ab/*?{}[]!,.\\", min_size=1, max_size=12), st.text("ab/*?{}[]!,.\\", min_size=1, max_size=12))
def test_the_glob_of_a_path_matches_it_alone(path, other):
    path, other = (one.strip("/") or "a" for one in (path, other))
    matches = text.glob_test([text.glob_of(path)])
    assert matches(path)
    assert matches(other) == (other == path or other.startswith(path + "/"))


@given(st.text(), st.text())
def test_tokens_of_a_text_are_no_fewer_than_of_its_beginning(first, second):
    assert text.count_tokens(first + second) >= text.count_tokens(first) - 1


@given(st.lists(st.text("ab/*?{},.", max_size=12), min_size=1, max_size=3), st.text("ab/.", max_size=8))
def test_globs_match_alike_whichever_way_they_are_tested(globs, path):
    expected = any(re.fullmatch(text.glob_regex(glob), path) for glob in globs)
    assert text.glob_test(globs)(path) == expected
    many = [*globs, "*x*x*x*x*x*"]  # so many stars are tested in linear time
    assert text.glob_test(many)(path) == expected


def test_a_glob_made_to_take_for_ever_does_not():
    path = "/".join(["a" * 60] * 4)
    for glob in ("*a" * 40 + "b", "**a" * 40 + "b", "{a,aa}" * 60 + "b", "**/" * 40 + "b"):
        assert not text.glob_test([glob])(path)


def test_a_word_begins_as_its_stem_says():
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    words = {word for file in sources for word in re.findall(r"[a-z]+", file.read_text("utf-8", "replace").lower())}
    assert len(words) > 10_000
    words |= {"dying", "lying", "tying", "skies", "hopping", "possibilities"}
    stems = {word: text.stems(word) for word in words}
    assert {word for word, (stem,) in stems.items() if not word.startswith(text.beginning(stem))} == set()


def test_the_stems_of_a_name_are_those_of_its_parts():
    for name in ("parseHTTPHeaders", "word", "größe_der_Wörter", "__init__", "__", ""):
        assert list(text.stems(name)) == text.terms(" ".join(text.parts(name))).split()
