"""The prompt tray: lines that somebody picked become hits again, and `PromptBuilder` makes the text of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from codequarry.errors import CodequarryError, NotFound
from codequarry.search.prompt import PromptBuilder
from codequarry.service.problems import of_arguments
from codequarry.service.schemas import PromptRequest
from codequarry.service.web.address import BUDGET, FORMATS, Address, Pick, file_url
from codequarry.types import Answer, Block, Hit, Prompt

if TYPE_CHECKING:
    from codequarry.service.backend import Backend
    from codequarry.service.security import Caller

MOST = 50
"""How many picks one tray has: an address may not grow for ever."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A pick in the tray. `tokens`: of those of its lines that are in the prompt; `says`: what is wrong with it."""

    key: str
    pick: Pick
    url: str
    up: str
    down: str
    without: str
    tokens: int = 0
    says: str = ""


@dataclass(slots=True)
class Tray:
    """What is picked and what it makes."""

    picked: list[Picked]
    prompt: Prompt
    notes: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether something did not fit."""
        return bool(self.prompt.dropped)


def asked(address: Address, question: str = "") -> PromptRequest:
    """The request to REST that means the same.

    Raises:
        BadInput: an argument that cannot be; REST says the same of it.
    """
    try:
        return PromptRequest.model_validate(
            {
                "question": question or address.q or "?",
                "budget": int(address.budget) if address.budget.isdigit() else (address.budget or BUDGET),
                "format": address.format or FORMATS[0],
                "plain": address.plain,
                **address.for_rest,
            }
        )
    except ValidationError as error:
        raise of_arguments(error.errors())[0] from error


def build(backend: Backend, caller: Caller, address: Address) -> list[str]:
    """The picks that make the prompt that the search itself would make for the question."""
    request = asked(address)
    prompt = backend.prompt(caller, request.question, **request.options())
    return [str(pick_of(block)) for block in prompt.blocks][:MOST]


def pick_of(one: Hit | Block) -> Pick:
    """The pick of a hit's, or a block's, lines."""
    return Pick(one.repo, one.branch, one.path, one.blob, one.start_line, one.end_line)


def tray(backend: Backend, caller: Caller, address: Address, *, path: str = "/prompt") -> Tray:
    """The tray of an address; its links lead to `path`.

    Raises:
        BadInput: a budget or format that cannot be, or something that is no pick.
    """
    caller.must("search")
    request = asked(address)
    hits: list[Hit] = []
    picked: list[Picked] = []
    keys = list(address.picks[:MOST])
    for key in keys:
        pick, says = Pick.read(key), ""
        try:
            hit = _hit(backend, caller, pick)
            hits.append(hit)
            if pick.blob and not hit.blob.startswith(pick.blob):
                says = "the file has changed since: these may be other lines"
        except CodequarryError as error:
            says = error.message
        picked.append(_picked(address, key, pick, path, says))
    prompt = PromptBuilder(backend.engine, budget=request.budget, format=request.format).of(
        Answer(address.q or "", hits)
    )
    notes = list(prompt.notes)
    if len(address.picks) > MOST:
        notes.append(f"Only the first {MOST} snippets are taken.")
    return Tray([_counted(one, prompt) for one in picked], prompt, notes)


def _picked(address: Address, key: str, pick: Pick, path: str, says: str) -> Picked:
    return Picked(
        key,
        pick,
        file_url(
            pick.repo,
            pick.path,
            pick.branch,
            lines=(pick.start_line, pick.end_line),
            address=replace(address, cursor=""),
        ),
        address.moved(key, -1).url(path),
        address.moved(key, 1).url(path),
        address.toggled(key).url(path),
        says=says,
    )


def _counted(one: Picked, prompt: Prompt) -> Picked:
    mine = _within(one.pick, prompt.blocks)
    if not mine and not one.says and prompt.dropped:
        return replace(one, says="does not fit into the budget")
    return replace(one, tokens=sum(block.tokens for block in mine))


def _within(pick: Pick, blocks: Sequence[Block]) -> list[Block]:
    return [
        block
        for block in blocks
        if (block.repo, block.path) == (pick.repo, pick.path)
        and pick.start_line <= block.start_line
        and block.end_line <= pick.end_line
    ]


def _hit(backend: Backend, caller: Caller, pick: Pick) -> Hit:
    """The lines as they are indexed now.

    Raises:
        NotFound: they are not there any more, or not for this caller.
    """
    from codequarry.search.snippets import permalink
    from codequarry.types import Place

    branch = pick.branch or None
    file = backend.read(caller, pick.repo, pick.path, branch, pick.start_line, pick.end_line)
    state = next((one for one in backend.states(caller) if one.source == file.source), None)
    if state is None:
        raise NotFound("it is not indexed any more")
    place = Place(state.source, file.commit, state.head, file.modified, state.web)
    last = pick.start_line + file.text.count("\n")
    return Hit(
        repo=file.source.repo,
        commit=file.commit,
        branch=state.head,
        path=file.path,
        start_line=pick.start_line,
        end_line=last,
        language=file.language,
        symbol="",
        kind="",
        score=0.0,
        url=permalink(place, file.path, pick.start_line, last),
        modified=file.modified,
        text=file.text,
        blob=file.blob,
    )
