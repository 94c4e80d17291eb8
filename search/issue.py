"""A long text read as what it is made of: an issue, a stack trace or a log excerpt as somebody pasted it.

`read` sorts the lines into title, prose, code and logs, and leaves out what issue templates ask for and no answer needs: versions,
environment, checklists, the template's own headings and comments. From what is left come the things a text says outright: links to
files, paths, stack frames, identifiers, dotted names, error messages. What is known here is how people and templates write issues;
nothing is known of a repository. Everything takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from codequarry.search import mentions
from codequarry.search.frames import LONGEST, Frame, frame_of, frames
from codequarry.search.mentions import Link

T = TypeVar("T")

TITLE, QUOTED, PROSE, CODE, LOG = "title", "quoted", "prose", "code", "log"

_LONGEST_TITLE = 300  # characters; a first line of more is no title


class Name(NamedTuple):
    """An identifier, and where it stands: title, quoted (in backticks), prose, code, log (the function of a frame)."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Issue:
    """A long text, taken apart. All that is listed is in the order of the text, each once."""

    title: str
    prose: str  # what people wrote, without links' addresses
    code: str
    logs: str
    links: tuple[Link, ...]
    frames: tuple[Frame, ...]
    paths: tuple[str, ...]
    names: tuple[Name, ...]
    dotted: tuple[tuple[str, ...], ...]
    errors: tuple[str, ...]  # what programs reported, without the kind of the error


@lru_cache(maxsize=16)  # what is asked for and how it is ranked are both read off the same text
def read(text: str) -> Issue:
    r"""Takes a text apart; every text can be read.

    >>> issue = read("Retry waits too long\n\nSee `Policy.wait`.\n\n### Version\n\n1.2")
    >>> issue.title, issue.prose, issue.dotted
    ('Retry waits too long', 'See `Policy.wait`.', (('Policy', 'wait'),))
    """
    text = _without_comments(text.replace("\r\n", "\n").replace("\r", "\n"))
    title, body = _title(text)
    parts: dict[str, list[str]] = {PROSE: [], CODE: [], LOG: []}
    for kind, line in _sorted(body):
        parts[kind].append(line)
    written, code, logs = ("\n".join(parts[kind]).strip("\n") for kind in (PROSE, CODE, LOG))
    prose = mentions.LINK.sub(" ", written)
    told = f"{title}\n{prose}"
    found = [frame for kind in (PROSE, LOG, CODE) for frame in frames("\n".join(parts[kind]))]
    return Issue(
        title=title,
        prose=prose,
        code=code,
        logs=logs,
        links=_each(mentions.links(f"{title}\n{written}\n{logs}")),
        frames=_each(found),
        paths=_each([*mentions.paths(told), *mentions.paths(logs), *mentions.paths(code)]),
        names=_each(_names(title, prose, code, found)),
        dotted=_each([*mentions.dotted(told), *mentions.dotted(code)]),
        errors=_each(mentions.errors(f"{told}\n{logs}")),
    )


def _each(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))


def _names(title: str, prose: str, code: str, stack: list[Frame]) -> Iterator[Name]:
    for name in mentions.identifiers(title):
        yield Name(name, TITLE)
    for span in (*mentions.quoted(title), *mentions.quoted(prose)):
        if len(span) <= 80:
            for word in re.findall(r"[A-Za-z_]\w{2,80}", span):
                yield Name(word, QUOTED)
    for name in mentions.identifiers(prose):
        yield Name(name, PROSE)
    for frame in stack:
        for word in re.findall(r"[A-Za-z_]\w{2,80}", frame.function):
            yield Name(word, LOG)
    for word in re.findall(r"[A-Za-z_]\w{2,80}", code):
        yield Name(word, CODE)


# ------------------------------------------------------------------------------------------------------------ the structure


def _without_comments(text: str) -> str:
    """The text without HTML comments: in a template they are advice to the writer.

    A line ends where one stood: what is on both sides of it makes no word.
    """
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("-->", start)
        if end < 0:
            return "\n".join([*kept, text[start + 4 :]])
        at = end + 3
    return "\n".join([*kept, text[at:]])


def _title(text: str) -> tuple[str, str]:
    """The first line, where it reads like a title, and the rest. A text of one line is prose: a question, however long."""
    body = text.strip("\n \t")
    first, line_break, rest = body.partition("\n")
    first = first.strip()
    looks = not (first.startswith(("```", "~~~", ">>>", "$ ")) or _LOG_BEGINS.match(first) or frame_of(first))
    if not line_break or not looks or len(first) > _LONGEST_TITLE:
        return "", body
    return first.lstrip("# ").strip(), rest


_FENCE = re.compile(r"\s{0,12}(`{3,}|~{3,})\s*([\w+#.-]*)")
_HEADING = re.compile(r"\s{0,3}(?:#{1,6}\s+(.{1,200})|\*\*([^*]{1,120})\*\*:?\s*|__([^_]{1,120})__:?\s*)$")
_LABEL = re.compile(r"\s{0,3}([A-Z][\w ',/()?-]{2,60}):\s*$")
_TAG = re.compile(r"</?(?:details|summary|br|p|div|img|a|b|i|sub|sup|kbd|code|pre)\b[^<>]{0,300}>", re.I)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\((https?://[^)\s]{1,1000})\)")
_CHECKBOX = re.compile(r"\s*[-*] \[[ xX]\]")
_INDENTED = re.compile(r"(?: {4,}|\t)\S")
_PROMPT = re.compile(r"\s*(?:>>> |\.\.\. |In \[\d+\]: ?|Out\[\d+\]: ?|\$ |# \w+@)")
_LOG_LINE = re.compile(
    r"\s*(?:Traceback \(most recent call last|Caused by: |Exception in thread |goroutine \d+ |stack backtrace:|-{3,}> ?\d|"
    r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d|\[?(?:ERROR|WARN|WARNING|INFO|DEBUG|TRACE|FATAL)\b|"
    r"(?:error|warning|fatal|panic)(?:\[\w+\])?: |thread '[^']*' panicked|"
    r"(?:[\w.]{1,80}\.)?[A-Z]\w{1,60}(?:Error|Exception|Warning): )"
)
_LOG_BEGINS = re.compile(
    r"Traceback \(most recent call last|goroutine \d+ |\[?\d{4}[-/]\d\d[-/]\d\d|\[?\d\d:\d\d:\d\d|thread '"
)
_LOG_LANGUAGES = frozenset(
    "log logs text txt plain plaintext output traceback pytb python-traceback console shell-session terminal stacktrace".split()
)
# Lines of an environment: `- OS: Linux`, `numpy: 1.2.3`, `rustc 1.60.0 (abc 2022)`, `libfoo: None`.
_ENVIRONMENT_LINE = re.compile(
    r"\s*(?:[-*]\s*)?[*`_]{0,2}(?:(?:os|o/s|operating system|platform|arch|architecture|kernel|machine|processor|byteorder|"
    r"locale|lang|lc_all|browser|device|shell|terminal|compiler|commit|python-bits|os-release|node(?:\.?js)?|npm|yarn|python|"
    r"[\w .-]{0,24}version)[*`_]{0,2}\s*[:=].{0,120}|"
    r"[\w.@/-]{1,40}(?:\s*[:=]{1,2}\s*|\s+@?v?)(?:v?\d{1,4}(?:\.\d{1,6}){1,3}[\w.+-]{0,30}|None)(?:\s*\([^)]{0,80}\))?)\s*$",
    re.I,
)

# A heading that has one of these, and hardly a word that is not in either list, heads an environment block or a checklist.
_ENVIRONMENT = frozenset(
    "version versions environment environments platform platforms os distro distribution browser checklist validation "
    "prerequisites conduct bounty sponsor sponsoring screenshots screenshot preflight willing".split()
)
# Words of which the headings of templates are made. A heading of nothing else says nothing of this issue.
_TEMPLATE = frozenset(
    "a about actual actually additional affected again all also alternative alternatives an and any anything are as "
    "behavior behaviour be before briefly bug can change changes check code command comments compiler complete "
    "configuration considered context contribute contributing could current currently debug dependencies describe "
    "description detail details did do documentation does else error errors example expect expected explain feature files "
    "fix following for full give go happen happened happening has have help hints how i idea if in include info information "
    "input install installation installed instead is issue it java know library like link links list log logs mcve message "
    "messages minimal missing more motivation need node not npm occur of on operating or other our output outputs package "
    "please possible potential problem proposal proposed provide python question reason related relevant report reproduce "
    "reproduced reproducer reproducible reproducing reproduction request result results rust sample search searched see "
    "seen setup should show similar snippet solution solutions stack steps submit submitting suggest suggested suggestion "
    "summary system tell test that the there this to trace traceback type use used using vs want was we what when where "
    "which why will with work workaround would you your".split()
)
_NO_ANSWER = frozenset(("No response", "None", "N/A", "n/a"))
_HEADING_WORD = re.compile(r"[a-z]{2,}")


def _sorted(body: str) -> Iterator[tuple[str, str]]:
    """Each line that counts, with what it is: prose, code or log."""
    fence, info, block = "", "", list[str]()
    dropped = 0  # the level of the heading whose section is left out, 0 for none
    before, indented = "", False
    for line in body.split("\n"):
        opens = _FENCE.match(line)
        if fence:
            if opens and opens[1].startswith(fence) and not opens[2]:
                yield from _block(info, block, dropped)
                fence = ""
            else:
                block.append(line)
            continue
        if opens:
            fence, info, block = opens[1], opens[2].lower(), []
            continue
        line = _MARKDOWN_LINK.sub(r"\1 \2 ", line) if "](" in line else line
        line = _TAG.sub(" ", line) if "<" in line else line
        heading = _heading(line)
        if heading is not None:
            level, words = heading
            if dropped and level > dropped:
                continue
            dropped = level if _is_environment(words) else 0
            if not dropped and not (words and _TEMPLATE.issuperset(words)):
                yield PROSE, line.strip(" #*_")
            before = ""
            continue
        indented = bool(_INDENTED.match(line)) and (indented or not before.strip())
        before = line
        if not dropped and not _CHECKBOX.match(line):
            yield from _line(line, indented)
    if fence:
        yield from _block(info, block, dropped)


def _line(line: str, indented: bool) -> Iterator[tuple[str, str]]:
    if _is_logged(line):
        yield LOG, line
    elif _ENVIRONMENT_LINE.match(line[:LONGEST]) or line.strip(" _*") in _NO_ANSWER:
        return
    elif indented or _PROMPT.match(line):
        yield CODE, line
    else:
        yield PROSE, line


def _is_logged(line: str) -> bool:
    return _LOG_LINE.match(line[:LONGEST]) is not None or frame_of(line) is not None


def _block(info: str, lines: list[str], dropped: int) -> Iterator[tuple[str, str]]:
    """The lines of a fenced block: a log where it says so or looks like it, else code. Left out with its section."""
    if dropped:
        return
    kind = CODE
    if info in _LOG_LANGUAGES or any(map(_is_logged, lines)):
        kind = LOG
    for line in lines:
        if not _ENVIRONMENT_LINE.match(line[:LONGEST]):
            yield kind, line


def _heading(line: str) -> tuple[int, list[str]] | None:
    """Level and words of a heading, None where the line is none: `## …`, a line in bold, `Label:` on a line of its own."""
    if found := _HEADING.match(line):
        level = len(line.strip()) - len(line.strip().lstrip("#")) or 7
        return level, _HEADING_WORD.findall((found[1] or found[2] or found[3]).lower())
    if found := _LABEL.match(line):
        words = _HEADING_WORD.findall(found[1].lower())
        if _is_environment(words) or (words and _TEMPLATE.issuperset(words)):
            return 8, words
    return None


def _is_environment(words: list[str]) -> bool:
    """Whether a heading's words announce versions, an environment or a checklist."""
    strong = _ENVIRONMENT.intersection(words) or ({"operating", "system"} <= set(words)) or words[:1] == ["system"]
    return bool(strong) and sum(word not in _ENVIRONMENT and word not in _TEMPLATE for word in words) <= 1
