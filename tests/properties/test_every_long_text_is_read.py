"""Any text can be taken apart, and what comes out of it stood in it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from codequarry.search.issue import read
from codequarry.search.issue_terms import MOST_TERMS, weighed_terms

PIECES = st.sampled_from(
    [
        "```",
        "```log\n",
        "~~~",
        "<!--",
        "-->",
        "<details>",
        "### Version\n",
        "**Platform**\n",
        "- [ ] ",
        "Traceback (most recent call last):\n",
        '  File "a/b.py", line 3, in name\n',
        "\tat org.acme.Name.run(Name.java:3)\n",
        "https://github.com/acme/api/blob/main/a.py#L3 ",
        "`Name.run`",
        "max_retries ",
        "a::b->c.d#e ",
        "ValueError: no 'x' in 3 places\n",
        "../a\\b/c.cpp ",
        "](http://x",
        "[",
        "\r\n",
        "\n",
        "\t",
        "    ",
        "\udcff",
        "名前",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=30)), max_size=40).map("".join)


@given(TEXTS)
@example("")
@example("\n")
@example("<!--")
@example("--><!--```log\n```")
@example("ValueError: no 'x' in 3 places\n\t--><details>")
@example("Fails here\n```\nlo<!-- what? -->ck\n```")
@example("```")
@example("[" * 5_000)
@example("a." * 5_000)
@example("a/" * 5_000)
@example("(" * 5_000 + ":1")
@example(" " * 5_000 + "x")
def test_any_text_is_taken_apart_and_nothing_is_made_up(text):
    issue = read(text)
    for part in (issue.title, *issue.logs.split("\n"), *issue.code.split("\n"), *(name.text for name in issue.names)):
        # A tag or a comment leaves a gap, so that words are what must stand in the text.
        assert all(word in text for word in part.split())
    for names in issue.dotted:
        assert all(name in text for name in names)
    for frame in issue.frames:
        assert frame.path.rsplit("/", 1)[-1] in text
    weights = weighed_terms(issue)
    assert len(weights) <= MOST_TERMS
    assert all(weight > 0 for weight in weights.values())
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
