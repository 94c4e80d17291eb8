"""What the pages for people say of the code is true, as far as a program can tell."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from codequarry import errors
from codequarry.search import chunk_order
from codequarry.search.query import FILTERS
from codequarry.search.rank import EXACT_SHARES, RULES, feature_sets
from codequarry.service import cli

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
ARCHITECTURE, QUERY = ROOT / "docs" / "ARCHITECTURE.md", ROOT / "docs" / "query.md"
PAGES = [README, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "training").rglob("*.md"))]

_FOLDERS = "codequarry ingest search service workers compose training bench tests docs".split()
_PLACE = re.compile(
    rf"((?:{'|'.join(_FOLDERS)})/[\w./-]*|pyproject\.toml|codequarry\.toml)(?:(:{{1,2}})(\w+))?(?: .*)?"
)
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def text_of(page):
    return page.read_text(encoding="utf-8")


def spans(text):
    """What stands in backquotes within a line, outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def places(page):
    """Files and folders of the repository that a page names, each with the colons and the name behind it, if any."""
    found = [match.groups() for span in spans(text_of(page)) if (match := _PLACE.fullmatch(span))]
    return [(path, colons, name) for path, colons, name in found if path != "codequarry.toml"]


def commands(page):
    """The lines of a page that call `codequarry`, as words, up to the first pipe."""
    blocks = re.findall(r"^```(?:\w*)\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.split("\n")] + spans(text_of(page))
    called = [shlex.split(line, comments=True) for line in lines if line.startswith("codequarry ")]
    return [words[1 : words.index("|") if "|" in words else None] for words in called if "…" not in words]


def constants(path):
    """The values of a module's names that are written as numbers."""
    found = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign):
            continue
        (target,) = node.targets
        pairs = (
            zip(target.elts, node.value.elts, strict=True)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            else [(target, node.value)]
        )
        for name, value in pairs:
            if all(isinstance(part, (ast.Constant, ast.BinOp, ast.operator)) for part in ast.walk(value)):
                found[name.id] = eval(compile(ast.Expression(value), path, "eval"))  # only numbers and their operators
    return found


@pytest.mark.parametrize("page", [ARCHITECTURE, CONTRIBUTING], ids=["ARCHITECTURE", "CONTRIBUTING"])
def test_every_file_and_name_that_a_page_names_exists(page):
    named = places(page)
    assert len(named) > 10
    for path, colons, name in named:
        assert (ROOT / path).exists(), path
        if name:
            defined = rf"^def {name}\(" if colons == "::" else rf"^(?:def |class )?{name}\b|^\w+, {name} ="
            assert re.search(defined, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), f"{path} has no {name}"


def test_the_limits_in_the_architecture_are_those_of_the_code():
    rows = re.findall(r"^\| ([\d,]+) (\w+) \| `([\w/]+\.py):(\w+)` \|", text_of(ARCHITECTURE), re.MULTILINE)
    assert len(rows) > 10
    for number, unit, path, name in rows:
        assert constants(path)[name] == int(number.replace(",", "")) * _UNITS.get(unit, 1), f"{path}:{name}"


def test_the_architecture_has_the_layers_that_are_checked():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers"]
    written = "".join(f"    {layer.replace('codequarry.', '')}\n" for layer in layers)
    assert written in text_of(ARCHITECTURE)


def test_the_errors_in_the_architecture_have_the_status_and_exit_that_they_have():
    rows = re.findall(r"^ +(\w+) +status (\d+)  exit (\d+)(.*)$", text_of(ARCHITECTURE), re.MULTILINE)
    assert len(rows) == 1 + len(errors.CodequarryError.__subclasses__())
    for name, status, code, leaves in rows:
        family = getattr(errors, name)
        assert (family.status, family.exit) == (int(status), int(code))
        for leaf in re.findall(r"\b[A-Z]\w+", leaves):
            assert issubclass(getattr(errors, leaf), family)


def test_the_architecture_names_every_feature_its_group_and_the_rules():
    named = set(spans(text_of(ARCHITECTURE)))
    for name in (
        *RULES,
        *(name for chosen in feature_sets() for one in chosen.features for name in (one.name, one.group)),
        *chunk_order.FEATURES,
    ):
        assert name in named
    assert set(EXACT_SHARES) - {"test"} <= named


def test_the_page_on_queries_has_every_filter():
    assert set(re.findall(r"^\| `(\w+):[A-Z]+` \|", text_of(QUERY), re.MULTILINE)) == set(FILTERS)


@pytest.mark.parametrize("page", [README, CONTRIBUTING, ARCHITECTURE, QUERY], ids=lambda page: page.stem)
def test_every_command_that_a_page_shows_can_be_read(page):
    for words in commands(page):
        before, name, after = cli.split(words)
        if name is not None:
            parser, _ = cli.build(cli.find(name))
            if after:
                parser.parse_args(before + after)


def test_the_readme_shows_commands_and_lists_only_those_there_are():
    assert len(commands(README)) > 5
    known = {command.name for command in cli.COMMANDS}
    for paragraph in text_of(README).split("\n\n"):
        if "`codequarry --help`" in paragraph:
            assert {span for span in spans(paragraph) if re.fullmatch("[a-z]+", span)} <= known


def test_every_target_of_make_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in (README, CONTRIBUTING):
        named = re.findall(r"^make ((?:[a-z-]+ ?)+)", text_of(page), re.MULTILINE)
        assert named
        assert {target for line in named for target in line.split()} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    for link in links:
        if not re.match(r"[a-z]+:|#", link):
            assert (page.parent / link.partition("#")[0]).exists(), link


def test_the_readmes_python_runs_as_it_stands(tmp_path):
    (block,) = re.findall(r"^```python\n(.*?)^```$", text_of(README), flags=re.MULTILINE | re.DOTALL)
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "search", folder / "search", ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "example.py"
    script.write_text(block, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
    environment |= {"CODEQUARRY_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"### \[S1\] \S+ search/query\.py:\d+-\d+", done.stdout)
