"""What each piece of query language means, and what a mistake says."""

from __future__ import annotations

import pytest

from codequarry.errors import BadInput, QuerySyntax
from codequarry.search.query import MAX_BYTES, Item, parse
from codequarry.types import Pattern


def fields(text, **options):
    return [(item.field, item.value, item.negated) for item in parse(text, **options).items]


def test_words_phrases_regexes_and_filters_are_told_apart():
    assert fields(
        'retry "exact phrase" /func .*Lock/ repo:api lang:go path:src/**/*.go branch:main symbol:Foo kind:class'
    ) == [
        ("word", "retry", False),
        ("phrase", "exact phrase", False),
        ("regex", "func .*Lock", False),
        ("repo", "api", False),
        ("lang", "go", False),
        ("path", "src/**/*.go", False),
        ("branch", "main", False),
        ("symbol", "Foo", False),
        ("kind", "class", False),
    ]


def test_a_dash_negates_words_phrases_regexes_and_filters():
    assert fields('-word -"a phrase" -/re/ -lang:go -path:vendor') == [
        ("word", "word", True),
        ("phrase", "a phrase", True),
        ("regex", "re", True),
        ("lang", "go", True),
        ("path", "vendor", True),
    ]


@pytest.mark.parametrize("word", ["--no-refresh", "-1", "->", "-", "-m", "-/usr/bin", '5"', "don't", "a-b"])
def test_what_only_looks_like_a_negation_or_a_phrase_is_a_word(word):
    assert fields(word) == [("word", word, False)]


@pytest.mark.parametrize(
    "text", ["and/or", "/usr/bin", "src/net/http", "https://a.b/c/", "/", "//", "/etc/passwd /usr/bin"]
)
def test_a_slash_in_a_path_or_a_url_is_no_regex(text):
    assert all(field == "word" for field, _, _ in fields(text))


def test_slashes_with_spaces_around_them_are_words():
    assert [value for _, value, _ in fields("read / write / run")] == ["read", "/", "write", "/", "run"]


def test_a_slash_inside_a_regex_is_written_with_a_backslash():
    assert fields(r"/src\/.*\.go/") == [("regex", r"src/.*\.go", False)]


@pytest.mark.parametrize("text", ["Sinatra::Base", "Error: no such file", "path::Path", "std::path:", "http://x"])
def test_other_words_with_a_colon_are_text(text):
    assert [field for field, _, _ in fields(text)] == ["word"] * len(text.split())


@pytest.mark.parametrize(
    ("text", "meant"),
    [("paths:src", "path:"), ("Repo:api", "repo:"), ("land:go", "lang:"), ("symbl:X", "symbol:"), ("kidn:class", "kind:"),
     ("language:go", "lang:")],
)  # fmt: skip
def test_a_name_one_edit_from_a_filter_is_text_with_a_note(text, meant):
    query = parse(text)
    assert query.items == (Item("word", text),)
    assert any(meant in note for note in query.notes)


def test_other_names_have_no_note():
    assert parse("note:this Foo::Bar a:b").notes == ()


def test_a_text_with_a_line_break_is_not_parsed():
    query = parse('Traceback "most\nrecent repo:x')
    assert query.plain and query.items == (Item("text", 'Traceback "most\nrecent repo:x'),)
    assert "line break" in query.notes[0]


def test_a_last_line_break_is_no_line_break():
    assert fields("repo:x foo\n") == [("repo", "x", False), ("word", "foo", False)]


def test_a_text_of_more_than_forty_words_is_not_parsed():
    words = " ".join(["word"] * 40)
    assert not parse(words).plain
    assert parse(words + ' "more').plain


def test_plain_and_syntax_force_either_reading():
    assert parse('"a lang:go', plain=True).items == (Item("text", '"a lang:go'),)
    assert not parse("lang:go " + "word " * 60, syntax=True).plain
    with pytest.raises(BadInput):
        parse("x", plain=True, syntax=True)


def test_a_backslash_makes_a_word_of_what_would_be_syntax():
    assert fields(r"\repo:x \"a \-foo \/a/ \d+") == [
        ("word", "repo:x", False),
        ("word", '"a', False),
        ("word", "-foo", False),
        ("word", "/a/", False),
        ("word", r"\d+", False),
    ]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ('find "this', 5),
        ('""', 0),
        ("foo repo: bar", 9),
        ("x /a[b/", 4),
        ("/(a(b)/ x", 1),
        (r"/a\/(b/", 4),
        ("/x**y/", 2),
        ('path:"a', 5),
        ("path:[z-a]", 5),
        ("", 0),
        ("  ", 0),
    ],
)
def test_bad_syntax_says_where_and_what_to_do(text, position):
    with pytest.raises(QuerySyntax) as raised:
        parse(text)
    assert (raised.value.position, raised.value.query) == (position, text)
    assert raised.value.hint


def test_a_query_has_at_most_64_kilobytes():
    assert parse("é" * (MAX_BYTES // 2)).words
    with pytest.raises(QuerySyntax) as raised:
        parse("é" * (MAX_BYTES // 2) + "x")
    assert raised.value.position == MAX_BYTES // 2


def test_what_a_query_asks_is_its_words_and_phrases():
    query = parse('how -not "exact text" lang:go /re/ works')
    assert query.question == "how exact text works"
    assert query.patterns() == (Pattern("exact\\ text", "exact text"), Pattern("re"))


def test_a_quoted_filter_value_may_have_spaces():
    assert fields('path:"my docs/*.md"') == [("path", "my docs/*.md", False)]
