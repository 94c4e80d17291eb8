"""What an answer says beside its hits is the same whichever store it is from."""

from __future__ import annotations

import pytest

from codequarry import connect

LONG = "".join(
    f"def step_{n}(value):\n    {'value += 1; ' * 20}\n    return needle(value, {n})\n\n\n" for n in range(230)
)
FILES = {
    "src/a[1]/{deep}.py": LONG,
    "src/plain.py": "def plain(value):\n    return needle(value, 0)\n",
    "src/RetryPolicy.py": "class RetryPolicy:\n    def wait_for_it(self, attempt):\n        return 2 ** attempt\n",
    "README.md": "# Steps\n\nEach step retries by a policy.\n",
}


@pytest.fixture
def quarry(store_location, tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "steps" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with connect(store_location("answers")) as quarry:
        quarry.index(tmp_path / "steps")
        yield quarry


def test_answers_count_what_they_do_not_show_and_name_what_is_not_there(quarry):
    lines = [number for number, line in enumerate(LONG.split("\n"), 1) if "needle(value, " in line]
    for query in ('"needle(value, "', r"/needle\(value, \d+\)/"):
        found = {hit.path: hit for hit in quarry.search(query).hits}
        deep = found["src/a[1]/{deep}.py"]
        assert found["src/plain.py"].more_matches == 0 and deep.more_matches > 0
        deep = {hit.path: hit for hit in quarry.search(query, all_matches=True).hits}["src/a[1]/{deep}.py"]
        assert deep.more_matches == 0
        assert sorted(number for piece in (deep, *deep.snippets) for number in piece.matched_lines) == lines

    def says(query):
        return " ".join(quarry.search(query, limit=3).notes)

    assert says("symbol:retry_policy") == "Nothing defines symbol:retry_policy; did you mean RetryPolicy?"
    assert says("kind:klass") == "Nothing is of kind:klass; did you mean class?"
    assert says("RetryPolcy") == (
        "No indexed code has the word RetryPolcy; these hits are by its parts and by meaning; did you mean RetryPolicy?"
    )
    assert says("RetryPolicy") == says("how does RetryPolicy wait_for_it") == ""
    assert "No indexed code has the word zzzzqq" in says("zzzzqq")
