"""Which sources, languages and kinds a filter means."""

from __future__ import annotations

import pytest

from codequarry.errors import BadInput, RepositoryNotFound
from codequarry.ingest import languages
from codequarry.search import aliases
from codequarry.search.query import parse
from codequarry.search.scope import match_repositories, one_source, resolve, visible
from codequarry.types import Source, SourceState

REPOS = {
    "github.com/acme/api",
    "github.com/acme/web-api",
    "github.com/other/api",
    "gitlab.com/acme/infra/api",
    "local//home/me/tool",
}


def state(repo, branch="main", **fields):
    return SourceState(Source(repo, branch), **{"head": branch, "files": 1, "indexed_at": 1.0} | fields)


STATES = [
    state("github.com/acme/api"),
    state("github.com/acme/api", "dev", default=False),
    state("github.com/acme/api", "release/1.0", default=False),
    state("github.com/acme/web"),
    state("github.com/acme/web", "worktree:/src/web", head="feature"),
    state("gitlab.com/other/api", access=("staff",)),
]


def sources(text, states=STATES, **given):
    found = resolve(parse(text), states, {name: [value] for name, value in given.items()})
    return None if found.scope.sources is None else [str(source) for source in found.scope.sources]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("github.com/acme/api", {"github.com/acme/api"}),
        ("acme/api", {"github.com/acme/api"}),
        ("api", {"github.com/acme/api", "github.com/other/api", "gitlab.com/acme/infra/api"}),
        ("pi", set()),
        ("web-api", {"github.com/acme/web-api"}),
        ("ACME/Api", {"github.com/acme/api"}),
        ("github.com/acme", {"github.com/acme/api", "github.com/acme/web-api"}),
        ("github.com/acme/", {"github.com/acme/api", "github.com/acme/web-api"}),
        ("github.com/*/api", {"github.com/acme/api", "github.com/other/api"}),
        ("acme/*", {"github.com/acme/api", "github.com/acme/web-api", "gitlab.com/acme/infra/api"}),
        ("*-api", {"github.com/acme/web-api"}),
        ("https://github.com/acme/api.git", {"github.com/acme/api"}),
        ("git@github.com:acme/api.git", {"github.com/acme/api"}),
        ("ssh://git@github.com:2222/acme/api", {"github.com/acme/api"}),
        ("/home/me/tool", {"local//home/me/tool"}),
        ("[", set()),
    ],
)
def test_a_repository_is_meant_by_identity_by_its_last_segments_by_a_folder_above_or_by_a_glob(value, expected):
    assert match_repositories(value, REPOS) == expected


def test_without_filters_on_sources_the_store_takes_its_default_ones():
    assert sources("retry") is None


def test_a_repository_without_a_branch_stands_for_its_default_sources():
    assert sources("x repo:acme/api") == ["github.com/acme/api@main"]


def test_all_repositories_of_an_ambiguous_name_are_taken_and_the_note_says_so():
    found = resolve(parse("x repo:api"), STATES)
    assert [source.repo for source in found.scope.sources] == ["github.com/acme/api", "gitlab.com/other/api"]
    assert any("2 repositories" in note for note in found.notes)


def test_an_unknown_repository_leaves_nothing_and_says_what_was_meant():
    found = resolve(parse("x repo:acme/apo"), STATES)
    assert found.scope.sources == ()
    assert "did you mean" in found.dead[0] and "github.com/acme/api" in found.dead[0]


def test_a_branch_is_meant_by_name_by_glob_or_by_the_folder_that_has_it_checked_out():
    assert sources("x branch:dev") == ["github.com/acme/api@dev"]
    assert sources("x branch:release/*") == ["github.com/acme/api@release/1.0"]
    assert sources("x branch:feature") == ["github.com/acme/web@worktree:/src/web"]
    assert sources("x branch:/src/web") == ["github.com/acme/web@worktree:/src/web"]


def test_a_folder_does_not_stand_for_a_branch_that_is_indexed_itself():
    states = [*STATES, state("github.com/acme/web", "feature", default=False)]
    assert sources("x branch:feature", states) == ["github.com/acme/web@feature"]


def test_the_path_of_a_folder_means_that_folder_alone():
    assert sources("x repo:/src/web") == ["github.com/acme/web@worktree:/src/web"]


def test_a_folder_is_meant_by_its_own_name_where_no_repository_has_it():
    clone = state("github.com/acme/api", "worktree:/src/my-clone", head="main", default=False)
    states = [*STATES, clone, state("local/export", "worktree:/tmp/notes", head="")]
    assert sources("x repo:my-clone", states) == ["github.com/acme/api@worktree:/src/my-clone"]
    assert sources("x repo:src/my-clone", states) == ["github.com/acme/api@worktree:/src/my-clone"]
    assert sources("x repo:Notes", states) == ["local/export@worktree:/tmp/notes"]
    assert sources("x", states, repo="notes") == ["local/export@worktree:/tmp/notes"]
    assert "github.com/acme/web@worktree:/src/web" in sources("x repo:web", states)  # the repository's name goes first
    assert "local/export@worktree:/tmp/notes" not in sources("x -repo:notes", states)
    assert one_source("my-clone", None, states).source.folder == "/src/my-clone"
    (dead,) = resolve(parse("x repo:my-clnoe"), states).dead
    assert dead == "No repository matches repo:my-clnoe; did you mean /src/my-clone?"


def test_an_unknown_branch_leaves_nothing_and_says_which_there_are():
    found = resolve(parse("x repo:acme/api branch:nightly"), STATES)
    assert found.scope.sources == ()
    assert "main" in found.dead[0] and "dev" in found.dead[0]


def test_a_plain_folder_is_no_branch_without_a_name():
    plain = state("local//src/notes", "worktree:/src/notes", head="")
    (dead,) = resolve(parse("x branch:nightly"), [state("github.com/acme/api"), plain]).dead
    assert dead == "No branch matches branch:nightly; there is main."
    (dead,) = resolve(parse("x branch:nightly"), [plain]).dead
    assert dead == "No branch matches branch:nightly; a plain folder has no branches."


def test_negated_filters_take_sources_away():
    assert sources("x -repo:acme/api -repo:other/api") == [
        "github.com/acme/web@main",
        "github.com/acme/web@worktree:/src/web",
    ]
    assert sources("x repo:acme/api branch:* -branch:main") == [
        "github.com/acme/api@dev",
        "github.com/acme/api@release/1.0",
    ]


def test_filters_outside_the_query_hold_beside_those_in_it():
    assert sources("x repo:api", repo="acme/api") == ["github.com/acme/api@main"]
    assert sources("x repo:acme/api", repo="acme/web") == []
    assert resolve(parse("x lang:py lang:go"), STATES, {"lang": ["golang"]}).scope.languages == ("go",)
    assert resolve(parse("x lang:py"), STATES, {"lang": ["go"]}).scope.sources == ()
    assert resolve(parse("x"), STATES, {"path": ["*.py"]}).scope.paths == ("*.py",)


def test_two_path_filters_that_cannot_be_asked_for_together_are_refused():
    with pytest.raises(BadInput, match="path"):
        resolve(parse("x path:*.py"), STATES, {"path": ["src"]})


def test_a_filter_that_does_not_exist_is_refused():
    with pytest.raises(BadInput, match="author"):
        resolve(parse("x"), STATES, {"author": ["me"]})


def test_an_empty_index_is_not_asked():
    assert resolve(parse("x"), []).scope.sources == ()


def test_who_sees_what():
    assert visible(STATES, None) == STATES
    assert [s.source.repo for s in visible(STATES, ("staff",))].count("gitlab.com/other/api") == 1
    assert all(not s.access for s in visible(STATES, ("guests",)))
    assert visible(STATES, ()) == []


def test_what_people_call_languages_and_kinds_becomes_the_names_of_the_index():
    found = resolve(parse("x lang:C++ lang:ts -lang:Golang kind:func -kind:doc"), STATES).scope
    assert found.languages == ("cpp", "typescript", "tsx")
    assert (found.not_languages, found.kinds, found.not_kinds) == (("go",), ("function",), ("docs",))


def test_names_of_languages_are_those_of_the_index():
    assert {name: languages.canonical(name) for name in aliases.LANGUAGES} == aliases.LANGUAGES
    assert set(languages.LANGUAGES) <= set(aliases.LANGUAGES)


def test_a_negated_word_is_its_whole_term_only():
    assert resolve(parse("x -readFile"), STATES).scope.not_terms == ("readfil",)


def test_one_source_is_found_by_a_short_name_and_a_branch():
    assert one_source("acme/api", None, STATES).source.branch == "main"
    assert one_source("acme/api", "dev", STATES).source.branch == "dev"
    assert one_source("acme/web", None, STATES).source.folder == "/src/web"


@pytest.mark.parametrize(("repo", "branch"), [("acme/apy", None), ("api", None), ("acme/api", "nightly")])
def test_a_name_that_means_none_or_several_repositories_is_an_error_with_the_names(repo, branch):
    with pytest.raises(RepositoryNotFound, match=r"github\.com/acme/api|main"):
        one_source(repo, branch, STATES)
