"""Which files count, and what is known of a file before it is chunked.

Three questions, in order of what they cost. By path and size, before anything is read: `sift`. By content: `examine`. And for
what is indexed, whether it is code that people write: `marks` (generated, vendored, build), which ranks the rest last.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from codequarry.ingest import RECIPE
from codequarry.ingest.git import Git, empty_repository, ignored
from codequarry.ingest.hints import replace_verdicts, verdicts_of
from codequarry.types import Shown, Skipped, Source

REASONS = {
    "binary": "binary content: a NUL byte in the first 8,000 bytes, or mostly control characters",
    "too-large": "larger than the limit (1 MB unless set otherwise)",
    "minified": "minified: its lines are too long to be read or cited",
    "lfs-pointer": "a Git LFS pointer: the content is not in git",
    "generated": "marked linguist-generated in .gitattributes",
    "vendored": "marked linguist-vendored in .gitattributes",
    "ignored": "matched by .codequarryignore",
    "symlink": "a symbolic link, which is never followed",
    "submodule": "another repository: index it by itself",
    "unreadable": "could not be read",
    "crashed": "every process that read it ended: by a crash, its memory or its time",
}
"""What a `Skipped.reason` stands for."""

RULES = "1"  # raise when `examine` or `sift` change what they leave out
RULE_FILES = (b".codequarryignore", b".gitattributes")
_RULE_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What a person may change about which files count."""

    max_bytes: int = 1_000_000  # larger files are left out
    max_files: int = 1_000_000  # a source with more paths is refused
    generated: bool = False  # take in what .gitattributes marks linguist-generated
    vendored: bool = False  # take in what .gitattributes marks linguist-vendored

    @property
    def fingerprint(self) -> str:
        """Equal for options and rules that leave out the same files, and a recipe that fails at the same ones."""
        return f"{RULES}.{RECIPE}:{self.max_bytes}:{self.generated:d}{self.vendored:d}"


class Entry(NamedTuple):
    """A regular file that counts, by path and size. `blob` is git's object id of its bytes as they are read."""

    path: str
    blob: str
    size: int
    modified: bool = False


class Reader(Protocol):
    """Reads files of one source. It can be pickled, and be used in several processes at once."""

    def read(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | None]]:
        """Each entry in order with its bytes, None for one that cannot be read or is gone.

        The entry that comes back tells `blob` and `size` of the bytes that come with it: where a file on disk was changed
        since it was listed, it is not the one that was asked for. Keep that one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Since:
    """What a listing was compared with, so that it names only what differs."""

    hints: bytes  # of the publication that it was compared with
    before: Mapping[str, str]  # the paths that differ, with the blob of the regular file that was there, else ""
    whole: Callable[[], Tree]  # lists the same with all of its files

    def shown(self, skipped: Collection[str]) -> dict[str, Shown]:
        """What was shown at the paths that differ, where these paths were left out."""
        return {path: Shown(path, blob) for path, blob in self.before.items() if blob and path not in skipped}


@dataclass(slots=True)
class Tree:
    """One source as it was found: what it shows, what it leaves out, and how to read it.

    With `since`, entries and skipped files are those at paths that differ; all others are as they were published.
    """

    source: Source
    commit: str  # hex; "" for a folder without git, or without a commit
    head: str  # the branch, or the one that is checked out; "HEAD" when none is; "" without git
    origin: str  # path or address it was read from, without credentials
    web: str  # address of the repository on its forge, or ""
    entries: list[Entry]  # sorted by path
    skipped: list[Skipped]  # sorted by path
    hints: bytes
    reader: Reader
    note: str = ""  # a sentence for the person who asked, or ""
    since: Since | None = None

    def whole(self) -> Tree:
        """The tree with all of its files."""
        return self if self.since is None else self.since.whole()

    def learnt(self, skipped: Iterable[Skipped]) -> bytes:
        """The hints to keep when `examine` ruled out these files of `entries`: the next listing leaves them out unread.

        What is unreadable may be an accident of the moment, and is not kept; the next listing of a commit looks at all files again.
        """
        left_out = list(skipped)
        found = {skip.path: skip for skip in left_out if skip.reason != "unreadable"}
        if not left_out:
            return self.hints
        verdicts = verdicts_of(self.hints)
        if len(found) < len(left_out):
            verdicts.pop("listed", None)
        verdicts.setdefault("skips", {}).update(
            (entry.path, [entry.blob, skip.reason, skip.detail])
            for entry in self.entries
            if (skip := found.get(entry.path))
        )
        return replace_verdicts(self.hints, verdicts)


class Verdicts:
    """What `Tree.learnt` kept of an earlier listing, as far as it still holds."""

    def __init__(self, hints: bytes, options: FileOptions) -> None:
        known = verdicts_of(hints)
        self._skips: dict[str, list[str]] = known.get("skips", {}) if known.get("rules") == options.fingerprint else {}
        self._rules = options.fingerprint
        self._kept: dict[str, list[str]] = {}

    def __call__(self, path: str, blob: str) -> Skipped | None:
        """Why this version of the file does not count, None where that is not known."""
        verdict = self._skips.get(path)
        if verdict is None or verdict[0] != blob:
            return None
        self._kept[path] = verdict
        return Skipped(path, verdict[1], verdict[2])

    def __bool__(self) -> bool:
        return bool(self._skips)

    def kept(self) -> dict[str, Any]:
        """Those verdicts that were asked for, to be packed again."""
        return {"rules": self._rules, "skips": self._kept}


# ---------------------------------------------------------------------------------------------------- by path, before reading


def nameable(path: bytes) -> bool:
    """Whether a path is one that git would let into a work tree: relative, short enough, without `..` and `.git`."""
    return len(path) <= 4096 and all(
        part not in (b"", b".", b"..") and part.lower() != b".git" for part in path.split(b"/")
    )


def sift(
    paths: Sequence[bytes], rule_files: Mapping[bytes, Callable[[], bytes | None]], git: Git, options: FileOptions
) -> dict[bytes, str]:
    """The paths that .codequarryignore (syntax of .gitignore) and the linguist rules of .gitattributes leave out, with the reason.

    Both are matched by git itself, over a copy of nothing but the rule files, so branches and folders are treated alike and
    rules in sub-folders work.

    Args:
        paths: all of them, each `nameable`.
        rule_files: those paths whose last part is one of `RULE_FILES`, with a function that reads it (None: cannot be read).
        git: to ask.
        options: whether generated and vendored files count.
    """
    ignores: dict[bytes, bytes] = {}
    attributes: dict[bytes, bytes] = {}
    wanted = {
        name
        for name, taken in ((b"linguist-generated", options.generated), (b"linguist-vendored", options.vendored))
        if not taken
    }
    for path, read in rule_files.items():
        is_ignore = path.endswith(RULE_FILES[0])
        if (is_ignore or wanted) and (rules := read()):
            (ignores if is_ignore else attributes)[path] = rules[:_RULE_FILE_BYTES]
    found: dict[bytes, str] = {}
    if not any(b"linguist-" in rules for rules in attributes.values()):
        attributes = {}
    if not ignores and not attributes:
        return found
    with empty_repository() as git_dir:
        folder = os.fsencode(git_dir) + b"/rules"
        os.mkdir(folder)  # noqa: PTH102 - bytes, which Path does not take
        for path, rules in (*ignores.items(), *attributes.items()):
            above, _, name = path.rpartition(b"/")
            os.makedirs(os.path.join(folder, above), exist_ok=True)  # noqa: PTH103 - bytes
            name = b".gitignore" if name == RULE_FILES[0] else name
            with open(os.path.join(folder, above, name), "wb") as file:
                file.write(rules)
        beside = f"--work-tree={os.fsdecode(folder)}"
        if attributes:
            given = b"".join(path + b"\0" for path in paths)
            ask: list[str | bytes] = [beside, "check-attr", "-z", "--stdin", *sorted(wanted)]
            said = git.run(ask, git_dir=git_dir, cwd=folder, stdin=given)
            fields = iter(said.split(b"\0"))
            for path, attribute, value in zip(fields, fields, fields, strict=False):
                if value in (b"set", b"true"):
                    found[path] = attribute.removeprefix(b"linguist-").decode()
        if ignores:
            # The person's own list of ignored names has no say in this.
            own = (beside, "-c", "core.excludesFile=/dev/null")
            found |= dict.fromkeys(ignored(git, paths, *own, git_dir=git_dir, cwd=folder), "ignored")
    return found


# ------------------------------------------------------------------------------------------------------------- by content


class Examined(NamedTuple):
    """A file that counts: its text without a byte order mark, line ends as they are, and its marks, sorted."""

    text: str
    marks: tuple[str, ...]


_LFS = re.compile(rb"version https?://(git-lfs\.github\.com/spec|git-media\.io|hawser\.github\.com/spec)/")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b") + b"\x7f"
_LONG_LINES_ARE_NORMAL = (".md", ".mdx", ".markdown", ".rst", ".adoc", ".txt", ".tex", ".org", ".ipynb")
_OFTEN_MINIFIED = (".js", ".mjs", ".cjs", ".css")


def examine(path: str, data: bytes, options: FileOptions) -> Skipped | Examined:
    """Whether the content counts, and as what text. Follows from its arguments alone, and never fails."""
    if len(data) > options.max_bytes:
        return Skipped(path, "too-large", f"{len(data):,} bytes")
    if len(data) < 1024 and _LFS.match(data):
        size = re.search(rb"^size (\d{1,18})$", data, re.MULTILINE)
        return Skipped(path, "lfs-pointer", f"{int(size[1]):,} bytes elsewhere" if size else "")
    text = decode(data)
    if text is None:
        return Skipped(path, "binary")
    if detail := _minified(path, text):
        return Skipped(path, "minified", detail)
    return Examined(text, marks(path, text))


def decode(data: bytes) -> str | None:
    """The text of a file, None for binary content.

    UTF-16 and UTF-32 are told by their byte order mark, everything else is UTF-8 or, where that fails, Windows-1252 or Latin-1,
    which every byte fits. The result can always be encoded as UTF-8.
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        try:
            text = data.decode("utf-32")
        except UnicodeDecodeError:
            return None
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    elif b"\0" in data[:8000]:
        return None
    else:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        if len(data) - len(data.translate(None, _CONTROLS)) > len(data) // 20:
            return None
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return None if "\0" in text[:8000] else text.removeprefix("\ufeff")


def _minified(path: str, text: str) -> str:
    """Why the text is taken for minified, "" when it is not.

    Lines of more than 110 characters on average are linguist's sign for scripts and style sheets; for other files the bar is
    higher. Prose with a paragraph to a line has spaces, what a tool has packed has few.
    """
    if len(text) < 4096:
        return ""
    average = len(text) / (text.count("\n") + 1)
    name = path.lower()
    limit = 110 if name.endswith(_OFTEN_MINIFIED) else 1000
    if average <= limit or name.endswith(_LONG_LINES_ARE_NORMAL) or (limit == 1000 and len(text) < 16_384):
        return ""
    blanks = text.count(" ") + text.count("\t")
    return f"{average:,.0f} characters a line on average" if blanks < len(text) * 0.12 else ""


# -------------------------------------------------------------------------------------------- indexed, but not written by hand

# Folders that the tools of each language name so. A plain noun counts at the top only, where it is the tools' convention;
# deeper down it may be a package of that name.
_VENDORED_FOLDERS = frozenset(
    "vendor vendors _vendor _vendored vendored third_party thirdparty third-party 3rdparty 3rd_party 3rd-party node_modules"
    " bower_components jspm_packages web_modules godeps pods carthage site-packages dist-packages".split()
)
_VENDORED_AT_THE_TOP = frozenset("extern external externals deps dependencies contrib-vendor".split())
_BUILD_FOLDERS = frozenset(
    "_build _site __pycache__ .next .nuxt .output .svelte-kit .parcel-cache .docusaurus .gradle cmakefiles storybook-static"
    " htmlcov lcov-report".split()
)
_WEB = (".js", ".mjs", ".cjs", ".css", ".map", ".html", ".d.ts", ".d.mts", ".d.cts")

_PATHS: dict[str, str] = {
    "vendored": r"""
        (^|/)(gradlew|gradlew\.bat|mvnw|mvnw\.cmd|\.pnp\.c?js|\.pnp\.loader\.mjs)$
      | (^|/)(config\.(guess|sub)|ltmain\.sh|install-sh|depcomp|aclocal\.m4)$
      | (^|/)(jquery|bootstrap|modernizr|mootools|prototype|backbone|underscore|require|angular|ember|d3|raphael|normalize)
            ([.-](v?\d[\w.]*|min|slim|core|bundle|ui|migrate))+\.(js|css)$
      | (^|/)\.yarn/(releases|plugins|sdks|cache)/
    """,
    "build": r"""
        [.-](min|bundle|prod)\.(js|mjs|cjs|css)$ | \.(js|mjs|cjs|css)\.map$ | \.egg-info/
      | (^|/)build/(lib|bdist|temp|static)\b | (^|/)target/(debug|release|classes|test-classes|generated-sources)/
      | (^|/)(bin|obj)/(debug|release)/ | (^|/)cmake-build-[\w-]+/ | (^|/)public/(build|assets)/ | (^|/)coverage/lcov
    """,
    "generated": r"""
        \.pb\.(go|cc|h|rb|swift)$ | \.pb\.(gw|validate)\.go$ | _pb2(_grpc)?\.pyi?$ | _pb\.(js|d\.ts|rb)$
      | \.(g|freezed|mocks)\.dart$ | \.(g|g\.i|designer|generated)\.(cs|vb)$ | [._]generated\.\w+$
      | (^|/)zz_generated[._] | (^|/)__generated__/ | (^|/)__snapshots__/
      | (^|/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|cargo\.lock)$
      | (^|/)(poetry|pdm|uv|pipfile|gemfile|composer|flake|mix|pubspec|podfile|gopkg|glide|paket)\.lock$
      | (^|/)(go\.sum|package\.resolved|packages\.lock\.json|\.terraform\.lock\.hcl|gradle\.lockfile)$
      | \.(pbxproj|xcworkspacedata|nib|storyboardc)$
    """,
}
# In the comments at the head of a file: that it was made, and that it is not to be edited or by which tool.
_HEADER = re.compile(
    r"""
        (?<![\w.`'"-])@generated(?![\w`'"-]) | <auto-?generated\b | \bcode\ generated\b.{0,300}?\bdo\ not\ edit\b
      | \bgenerated\b.{0,300}?\b(do\ not|don't|never|should\ not\ be|not\ to\ be)\ (manually\ |hand[ -])?(edit|modif|change|touch)
      | \b(do\ not|don't)\ (manually\ |hand[ -])?(edit|modif|change)\w*\b.{0,200}?\b(auto-?\ ?|automatically\ )?generated\b
      | \bthis\ (file|code|source|class|module|header)\ (is|was|has\ been)\ (an?\ )?(auto-?|automatically\ |machine[ -])?generated\b
      | \bauto-?\ ?generated\ (by|from|using|with|on|at)\b | \bautomatically\ generated\ (by|from|using|with)\b
      | \bgenerated\ by\ (the\ protocol\ buffer\ compiler|gnu\ autoconf|cython|antlr|peg\.?js|jison|coffeescript|swagger|openapi
            |ragel|bison|flex|re2c|javacc|thrift|swig|mockgen|sqlc|stringer|protoc|webpack|rollup)\b
      | \ba\ bison\ parser,\ made\ by\b | \ba\ lexical\ scanner\ generated\ by\b | \bcode\ produced\ by\ gperf\b
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"\s*(//|/\*|\*|#|--|;|%|<!--|\(\*|\{-|!|'|\"\"\"|rem\b|dnl\b|@echo|<auto)", re.IGNORECASE)
# What bundlers and compilers to JavaScript put at the head of their output.
_BUNDLED = re.compile(
    r"""
        \bwebpackBootstrap\b | \b__webpack_(require|modules)__\b | ^\s*!function\s*\(
      | \bObject\.defineProperty\(exports,\s*["']__esModule["'] | \(function\s*\(global,\s*factory\)
      | ^var\ __(create|defProp|getOwnPropNames|commonJS|export)\ = | \bparcelRequire\b | ^System\.register\(\[
    """,
    re.VERBOSE | re.MULTILINE,
)


@functools.cache
def _paths(mark: str) -> re.Pattern[str]:
    return re.compile(_PATHS[mark], re.IGNORECASE | re.VERBOSE)


def marks(path: str, text: str) -> tuple[str, ...]:
    """Which of `build`, `generated` and `vendored` the path or the head of the text gives away; sorted.

    The names are the conventions of package managers, compilers and of GitHub's linguist. A name that people also give to
    code they write (`build/`, `dist/`) counts only together with a kind of file that tools put there.
    """
    lower = path.lower()
    folders = lower.split("/")[:-1]
    vendored = (
        not _VENDORED_FOLDERS.isdisjoint(folders)
        or (bool(folders) and folders[0] in _VENDORED_AT_THE_TOP)
        or bool(_paths("vendored").search(lower))
    )
    script = lower.endswith((".js", ".mjs", ".cjs"))
    build = (
        not _BUILD_FOLDERS.isdisjoint(folders)
        or ("dist" in folders and lower.endswith(_WEB))
        or bool(_paths("build").search(lower))
        or (
            script
            and bool(
                _BUNDLED.search(text, 0, 3000) or re.search(r"^//[#@] sourceMappingURL=", text[-400:], re.MULTILINE)
            )
        )
    )
    generated = bool(_paths("generated").search(lower)) or _says_generated(lower, text)
    return tuple(mark for mark, holds in (("build", build), ("generated", generated), ("vendored", vendored)) if holds)


# Templates hold the header of what they make; in scripts a line that begins with // is text that they write.
_TEMPLATES = tuple(".tt .tmpl .gotmpl .tpl .template .j2 .jinja .jinja2 .erb .mustache .hbs .ejs .ftl .vm .in".split())
_SCRIPTS = tuple(".sh .bash .zsh .py .rb .pl .pm .awk .mk .ps1 .r .jl .ex .exs".split())


def _says_generated(lower: str, text: str) -> bool:
    """Whether a comment in the first 40 lines says that a tool wrote the file."""
    head = text[:4000]
    lowered = head.lower()
    if not any(word in lowered for word in ("generated", "produced by", "made by", "do not edit")):
        return False
    if lower.endswith(_TEMPLATES):
        return False
    script = lower.endswith(_SCRIPTS)
    comments, within = [], False
    for line in head.splitlines()[:40]:
        if within or _COMMENT.match(line):
            if script and line.lstrip().startswith(("//", "/*", "--")):
                continue
            comments.append(line.strip(" \t/*#-;%!<>"))
            opened, closed = max(line.rfind("/*"), line.rfind("<!--")), max(line.rfind("*/"), line.rfind("-->"))
            within = opened > closed if opened != closed else within
    return bool(_HEADER.search(" ".join(comments)))
