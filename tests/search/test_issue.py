"""What a long text consists of: the parts of issues, traces and logs, and what is left out of them."""

from __future__ import annotations

import pytest

from codequarry.search.issue import CODE, LOG, PROSE, QUOTED, TITLE, read
from codequarry.search.issue_terms import MOST_TERMS, weighed_terms
from codequarry.search.mentions import Link

ISSUE = """Retry waits too long after `Policy.wait`
<!-- Please search before you report. -->

### Describe the bug

The backoff of RetryPolicy is doubled, see
https://github.com/acme/api/blob/main/src/retry.py#L7 and src/http/client.py.

### Steps to reproduce

```python
policy = RetryPolicy(max_attempts=3)
policy.wait(2)
```

```
Traceback (most recent call last):
  File "/home/me/venv/lib/api/src/retry.py", line 9, in wait
    return backoff(attempt)
ValueError: the attempt must not be negative
```

### Environment

- OS: Linux
- Python: 3.11.2
uvloop is installed

### Checklist

- [x] I have searched for flamingos
"""


def names(text, where):
    return {name.text for name in read(text).names if name.where == where}


def test_an_issue_is_taken_apart():
    issue = read(ISSUE)
    assert issue.title == "Retry waits too long after `Policy.wait`"
    assert "The backoff of RetryPolicy is doubled" in issue.prose
    assert issue.code == "policy = RetryPolicy(max_attempts=3)\npolicy.wait(2)"
    assert issue.logs.startswith("Traceback")
    assert issue.links == (Link("acme/api", "src/retry.py", 7),)
    assert [frame.path for frame in issue.frames] == ["/home/me/venv/lib/api/src/retry.py"]
    assert "src/http/client.py" in issue.paths
    assert ("Policy", "wait") in issue.dotted
    assert issue.errors == ("the attempt must not be negative",)


def test_environment_checklists_comments_and_headings_of_templates_are_left_out():
    issue = read(ISSUE)
    everything = "\n".join([issue.prose, issue.code, issue.logs])
    for left_out in ("Linux", "3.11.2", "uvloop", "flamingos", "search before", "Describe the bug", "Steps to"):
        assert left_out not in everything


@pytest.mark.parametrize(
    "heading",
    [
        "### Version",
        "**Platform**",
        "### What version of acme are you using?",
        "## Compiler and operating system",
        "#### Output of `acme --version`",
        "Environment:",
    ],
)
def test_a_section_about_the_environment_is_left_out_up_to_the_next_heading(heading):
    issue = read(f"Title\n\nBefore.\n\n{heading}\n\nlinux and so on\n\n## Proposal\n\nAfter.")
    assert issue.prose.split() == ["Before.", "After."]


@pytest.mark.parametrize("heading", ["### Version negotiation fails with proxies", "**The parser loses its place**"])
def test_a_heading_of_the_writers_own_is_prose(heading):
    assert heading.strip("#* ") in read(f"Title\n\n{heading}\n\nText.").prose


def test_identifiers_are_known_by_where_they_stand():
    text = "Broken maxRetries\n\nSet `limit` or call run_all() of RetryPolicy.\n\n```\nclient.connect(now)\n```\n"
    assert names(text, TITLE) == {"maxRetries"}
    assert names(text, QUOTED) == {"limit"}
    assert names(text, PROSE) == {"run_all", "RetryPolicy"}
    assert names(text, CODE) == {"client", "connect", "now"}


def test_frames_outside_of_fences_are_logs_and_their_functions_are_names():
    text = "It fails\n\nas here:\n\tat org.acme.Policy.waitLong(Policy.java:3)\nand then nothing."
    assert "Policy.java" in read(text).logs
    assert "waitLong" in names(text, LOG)


def test_indented_blocks_and_prompts_are_code():
    issue = read("Title\n\nLike this:\n\n    wait(3)\n\n>>> wait(4)\nand so on")
    assert issue.code.split("\n") == ["    wait(3)", ">>> wait(4)"]


def test_a_fence_that_is_never_closed_ends_with_the_text():
    assert read("Title\n```js\nwait(3)\nmore()").code == "wait(3)\nmore()"


def test_a_pasted_trace_has_no_title():
    assert read('Traceback (most recent call last):\n  File "a.py", line 1, in wait\n').title == ""


def test_one_long_line_is_prose():
    words = " ".join(["word"] * 50)
    issue = read(words)
    assert (issue.title, issue.prose) == ("", words)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://github.com/acme/api/blob/v1.2/src/retry.py#L7-L9", "src/retry.py"),
        ("https://github.com/acme/api/tree/main/src", "src"),
        ("https://gitlab.example.org/group/sub/api/-/blob/main/src/retry.py#L7", "src/retry.py"),
        ("https://bitbucket.org/acme/api/src/4f2a/src/retry.py#lines-7", "src/retry.py"),
        ("https://codeberg.org/acme/api/src/branch/main/src/retry.py#L7", "src/retry.py"),
        ("https://raw.githubusercontent.com/acme/api/main/src/retry.py", "src/retry.py"),
    ],
)
def test_links_to_files_are_read_as_each_forge_writes_them(address, path):
    assert [link.path for link in read(f"Title\n\nsee [here]({address}), please").links] == [path]
    assert "acme" not in read(f"Title\n\nsee [here]({address}), please").prose


def test_terms_of_the_title_weigh_more_than_prose_and_prose_more_than_code():
    weights = weighed_terms(read("Alpha\n\nBeta is slow.\n\n```\ngamma\n```\n"))
    assert weights["alpha"] > weights["beta"] > weights["gamma"] > 0


def test_words_of_which_issues_are_full_and_words_to_leave_out_are_not_asked():
    weights = weighed_terms(read("Bug: unexpected backoff\n\nPlease describe the expected behaviour of acme."), {"acm"})
    assert set(weights) == {"backoff"}


def test_a_link_weighs_more_than_words():
    weights = weighed_terms(read("Alpha\n\nBeta https://github.com/acme/api/blob/main/lib/retry.py"))
    assert weights["retri"] > weights["beta"]


def test_a_long_text_is_asked_with_the_terms_that_weigh_most():
    filler = " ".join(f"filler{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(500))
    weights = weighed_terms(read(f"Title words\n\n{filler}\n" + "frequent " * 5))
    assert len(weights) == MOST_TERMS
    assert {"titl", "word", "frequent"} <= set(weights)


def test_a_text_of_nothing_but_words_to_leave_out_is_asked_all_the_same():
    assert weighed_terms(read("acme\n\nacme"), {"acm"}) == weighed_terms(read("acme\n\nacme"))
