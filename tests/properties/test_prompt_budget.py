"""A prompt is never over its budget, cites only lines that stand there, and loses nothing without saying so."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from codequarry.search.prompt import FORMATS, PromptBuilder
from codequarry.text import count_tokens
from codequarry.types import Answer, Hit, Snippet


class _Files:
    """What a builder needs of an engine: the whole text of the file of a hit."""

    def __init__(self, texts):
        self.texts = texts

    def search(self, query, **options):
        raise AssertionError("an answer is given")

    def whole_file(self, hit):
        return self.texts.get(hit.path)


lines = st.text(
    st.one_of(st.sampled_from(list("ab(){}<>`/=# \t\"'&")), st.characters(exclude_characters="\n")), max_size=30
)
tricky = st.sampled_from(
    ["```", "</snippet>", "<snippet>", "`````x", "]]>", "", "    return value", "\u202e", "日本語 код"]
)
contents = st.lists(st.one_of(lines, tricky), min_size=1, max_size=30)
counters = st.sampled_from(
    [count_tokens, len, lambda text: len(text.split()), lambda text: text.count("`") * 7 + len(text) // 9]
)


@st.composite
def hits_of(draw, path):
    """A hit in a file of random lines, its chunks some disjoint stretches of them."""
    whole = draw(contents)
    cuts = sorted(draw(st.sets(st.integers(1, len(whole)), min_size=1, max_size=6)))
    spans = [(start, min(start + draw(st.integers(0, 4)), following - 1)) for start, following in
             zip(cuts, [*cuts[1:], len(whole) + 1], strict=True)]  # fmt: skip
    chosen = draw(st.permutations(spans))[:3]
    pieces = [Snippet(start, end, "\n".join(whole[start - 1 : end])) for start, end in chosen]
    first = pieces[0]
    matched = tuple(draw(st.sets(st.integers(first.start_line, first.end_line), max_size=3)))
    hit = Hit("github.com/a/b", "c" * 40, "main", path, first.start_line, first.end_line, "python", "", "code", 1.0, "",
              False, first.text, matched_lines=matched, snippets=pieces[1:])  # fmt: skip
    return hit, whole


answers = st.integers(0, 4).flatmap(lambda n: st.tuples(*(hits_of(f"dir/file {i}.py") for i in range(n))))


@given(answers, st.integers(1, 600), st.sampled_from(sorted(FORMATS)), counters, lines)
def test_budget_lines_and_losses(files, budget, format, counter, question):
    texts = {hit.path: whole for hit, whole in files}
    engine = _Files({path: "\n".join(whole) for path, whole in texts.items()})
    hits = [hit for hit, _ in files]
    prompt = PromptBuilder(engine, budget, format, counter).of(Answer(question, hits))

    assert prompt.tokens <= budget
    assert not prompt.text or counter(prompt.text) == prompt.tokens
    assert prompt.text.encode("utf-8", "strict") is not None
    if format == "json" and prompt.text:
        told = json.loads(prompt.text)["snippets"]
        assert [row["text"] for row in told] == [
            block.text.encode("utf-8", "backslashreplace").decode() for block in prompt.blocks
        ]

    cited = set()
    for block in prompt.blocks:
        span = range(block.start_line, block.end_line + 1)
        assert block.text == "\n".join(texts[block.path][block.start_line - 1 : block.end_line])
        assert not cited & {(block.path, line) for line in span}
        cited |= {(block.path, line) for line in span}
    assert [block.label for block in prompt.blocks] == [f"S{number}" for number in range(1, len(prompt.blocks) + 1)]

    dropped = {(one["path"], line) for one in prompt.dropped for line in range(one["start_line"], one["end_line"] + 1)}
    for hit in hits:
        for piece in (hit, *hit.snippets):
            assert {(hit.path, line) for line in range(piece.start_line, piece.end_line + 1)} <= cited | dropped
    assert not cited & dropped
    assert prompt.blocks or not hits or prompt.notes
