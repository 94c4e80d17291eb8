import re
import subprocess
import sys
from pathlib import Path

import pytest

from codequarry import errors
from codequarry.errors import BadInput, CodequarryError, QuerySyntax
from codequarry.service import docs
from codequarry.service.cli import COMMANDS, EXITS, build, find, main, report, split
from codequarry.service.commands import chosen
from codequarry.service.commands.read import place
from codequarry.service.completion import offers, script
from codequarry.types import Source, SourceState

ROOT = Path(__file__).parent.parent.parent
NAMES = [command.name for command in COMMANDS]


def say(capsys, *words):
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(capsys, name):
    code, out, err = say(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: codequarry {name} [option …]")
    assert f"\nexamples:\n  codequarry {'completion' if name == 'completion' else ''}" in out
    assert say(capsys, "help", name) == (0, out, "")


def test_every_example_is_a_command_that_parses():
    import shlex

    for command in COMMANDS:
        parser, module = build(command)
        for line in module.EXAMPLES.splitlines():
            for found in re.findall(r"(?<![/_])codequarry ([^|<>()]+)", line):
                before, name, after = split(shlex.split(found, comments=True))
                parser, _ = build(find(name))
                parser.parse_args(before + after)


def test_every_option_says_what_it_does():
    for command in COMMANDS:
        for action in build(command)[0]._actions:
            assert action.help, (command.name, action.dest)


def test_without_a_command_the_commands_are_listed(capsys):
    code, out, _ = say(capsys)
    assert code == 0
    assert all(f"\n  {name} " in out for name in NAMES)
    assert say(capsys, "--help") == (0, out, "")
    assert say(capsys, "help") == (0, out, "")


def test_the_version_is_the_package_s(capsys):
    import codequarry

    assert say(capsys, "--version") == (0, f"codequarry {codequarry.__version__}\n", "")


def test_a_wrong_command_is_told_which_was_meant(capsys):
    assert say(capsys, "serach", "x") == (
        2,
        "",
        "codequarry: there is no command 'serach'\n  did you mean codequarry search?\n",
    )
    code, _, err = say(capsys, "where is the parser")
    assert code == 2
    assert "codequarry search" in err


def test_a_wrong_option_is_told_which_was_meant(capsys):
    code, out, err = say(capsys, "search", "x", "--limt", "3")
    assert (code, out) == (2, "")
    assert err == "codequarry: what is '--limt 3'?\n  did you mean --limit? see codequarry search --help\n"
    assert say(capsys, "search", "x", "--nope")[2] == "codequarry: what is '--nope'?\n  see codequarry search --help\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("read",), "REPO and PATH[:FIRST[-LAST]] are missing\n  codequarry read [option …] REPO PATH[:FIRST[-LAST]]"),
        (("read", "a.py"), "PATH[:FIRST[-LAST]] is missing\n  codequarry read [option …] REPO PATH[:FIRST[-LAST]]"),
        (("keys",), "new or list is missing\n  codequarry keys [option …] new|list"),
        (("search", "x", "--limit", "many"), "--limit: 'many' is no whole number\n"),
    ],
)
def test_what_is_missing_or_no_number_is_said_as_the_usage_line_has_it(capsys, words, told):
    assert f"codequarry: {told}" in say(capsys, *words)[2]


@pytest.mark.parametrize(
    "words",
    [
        ("search",),
        ("search", "x", "--limit", "many"),
        ("search", "x", "--lim", "3"),  # abbreviations would change meaning with each new option
        ("search", "x", "--plain", "--syntax"),
        ("completion", "tcsh"),
        ("dev", "sideways"),
        ("watch", "--every", "0"),
        ("--store",),
        ("--nonsense",),
        ("repositories", "remove"),
        ("index", "a", "b", "--name", "c"),
        ("read", "repo", "a.py:9-3"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_a_hint_and_exit_2(capsys, words):
    code, _, err = say(capsys, *words)
    assert code == 2
    assert err.startswith("codequarry: ")
    assert len(err.splitlines()) == 2
    assert "Traceback" not in err


def test_options_for_every_command_may_stand_before_or_after_it():
    for words in (["--store", "s", "search", "q"], ["search", "q", "--store", "s"], ["--store=s", "search", "q"]):
        before, name, after = split(words)
        assert name == "search"
        args = build(find(name))[0].parse_args(before + after)
        assert (args.store, args.query) == ("s", ["q"])


def test_a_query_may_begin_with_a_minus_behind_two():
    before, name, after = split(["search", "--limit", "3", "--", "-path:vendor"])
    assert build(find(name))[0].parse_args(before + after).query == ["-path:vendor"]


def test_the_exit_status_of_every_error_is_documented():
    def tree(kind):
        return {kind.exit}.union(*(tree(below) for below in kind.__subclasses__()))

    documented = {int(number) for number in re.findall(r"^  (\d+) ", EXITS, re.MULTILINE)}
    assert tree(CodequarryError) <= documented
    assert documented == {0, 1, 2, 3, 4, 5, 70, 130, 141}


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CodequarryError)]
)
def test_every_error_is_a_line_a_hint_and_its_exit_status(capsys, kind):
    more = {QuerySyntax: {"query": "q", "position": 0}, errors.SettingsError: {"name": "N"}}.get(kind, {})
    assert report(kind("it\nfailed", hint="do\x1b this", **more)) == kind.exit
    said = capsys.readouterr().err.splitlines()
    assert said[0] == r"codequarry: it\nfailed"
    assert said[-1] == r"  do\x1b this"


def test_a_query_that_cannot_be_read_is_shown_with_the_place(capsys):
    report(QuerySyntax("no closing quote", query='lang:go "日本\x1b', position=8, hint="close it"))
    assert capsys.readouterr().err == 'codequarry: no closing quote\n  lang:go "日本\\x1b\n          ^\n  close it\n'
    report(QuerySyntax("no closing quote", query="日本 /a\nb/ /c", position=9, hint="close it"))
    assert capsys.readouterr().err.splitlines()[1:3] == ["  b/ /c", "     ^"]
    report(QuerySyntax("here", query="x" * 1000, position=500))
    shown, mark = capsys.readouterr().err.splitlines()[1:3]
    assert (len(shown), mark.index("^")) == (102, 62)


def test_an_error_of_ours_is_told_from_nothing_found_and_shows_where_on_demand(capsys, monkeypatch):
    from codequarry.service.commands import status

    def fail(args, terminal):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(status, "run", fail)
    code, _, err = say(capsys, "status")
    assert (code, err.splitlines()[0]) == (70, "codequarry: ZeroDivisionError: by zero")
    assert "Traceback" not in err
    assert "Traceback" in say(capsys, "status", "--traceback")[2]


def test_places_in_files_are_read():
    assert place("a.py") == ("a.py", None, None)
    assert place("a.py:3") == ("a.py", 3, 3)
    assert place("a:b.py:3-9") == ("a:b.py", 3, 9)
    assert place("C:x") == ("C:x", None, None)
    for wrong in ("a:0", "a:4-3"):
        with pytest.raises(BadInput):
            place(wrong)


def test_a_repository_may_be_named_by_its_end():
    api, app, other = (
        SourceState(Source(repo, "main"), head="main") for repo in ("g/acme/api", "g/acme/app", "h/acme/api")
    )
    everything = [api, app, other]
    assert chosen(everything, None) == everything
    assert chosen(everything, "g/acme/api") == [api]
    assert chosen(everything, "acme/api") == [api, other]
    assert chosen(everything, "acme/api", "main") == [api, other]
    for wrong, near in (("pi", "g/acme/api"), ("acme/appp", "g/acme/app")):
        with pytest.raises(errors.RepositoryNotFound) as raised:
            chosen(everything, wrong)
        assert near.rpartition("/")[2] in raised.value.hint
    with pytest.raises(errors.RepositoryNotFound, match="with the branch 'dev'"):
        chosen(everything, "acme/api", "dev")


@pytest.mark.parametrize("name", sorted(docs.pages()))
def test_the_pages_made_from_the_code_are_current(name):
    """`python -m codequarry.service.docs` makes them so."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == docs.pages()[name]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_offers_every_command_and_option(shell):
    written = script(shell)
    for offer in offers():
        assert offer.name in written
        for option in offer.options:
            for flag in option.flags:
                assert (
                    flag if shell != "fish" else f"-l {flag[2:]}" if flag[:2] == "--" else f"-s {flag[1:]}"
                ) in written


def complete(tmp_path, *words):
    """What bash offers for the last of these words."""
    (tmp_path / "codequarry.bash").write_text(script("bash"), encoding="utf-8")
    (tmp_path / "afile").touch()
    quoted = " ".join(f"'{word}'" for word in words)
    code = f"""source codequarry.bash; compopt() {{ :; }}
        COMP_WORDS=(codequarry {quoted}); COMP_CWORD={len(words)}; _codequarry; printf '%s\\n' "${{COMPREPLY[@]}}\""""
    run = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return set(run.stdout.split())


def test_bash_completes_commands_options_values_and_files(tmp_path):
    assert complete(tmp_path, "") == set(NAMES)
    assert complete(tmp_path, "st") == {"status"}
    assert complete(tmp_path, "--store", "x", "sea") == {"search"}
    assert complete(tmp_path, "search", "--li") == {"--limit", "--lines"}
    assert complete(tmp_path, "prompt", "q", "--format", "") == {"markdown", "xml", "json"}
    assert complete(tmp_path, "dev", "") == {"up", "down", "status"}
    assert complete(tmp_path, "repositories", "r") == {"remove"}
    assert complete(tmp_path, "index", "a") == {"afile"}
    assert complete(tmp_path, "--store", "afi") == {"afile"}
    assert complete(tmp_path, "--color", "n") == {"never"}
    assert complete(tmp_path, "search", "a") == set()


def test_parsing_imports_nothing_heavy():
    code = (
        "import sys; from codequarry.service.cli import main; main(['search', '--help']); print(*sorted(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in run.stdout.splitlines()[-1].split()}
    assert not imported & {
        "json",
        "dataclasses",
        "typing_extensions",
        "pygments",
        "subprocess",
        "logging",
        "tomllib",
        "asyncio",
    }
