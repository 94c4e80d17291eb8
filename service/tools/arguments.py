"""What each tool takes. Descriptions are for the model that calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codequarry.search.query import FILTERS

Values = str | list[str] | None
Cursor = Annotated[str, Field(pattern="^[0-9]{1,9}$")] | None


class Arguments(BaseModel):
    """Arguments of a tool; one that is not known is an error, so that a misspelt filter never finds everything."""

    model_config = ConfigDict(extra="forbid")


class Filters(Arguments):
    """Arguments that narrow what is looked at."""

    repo: Values = Field(
        None, description="Only these repositories: full name, the end of it, or a glob (list_repos lists them)."
    )
    lang: Values = Field(None, description="Only these languages, such as python.")
    path: Values = Field(None, description="Only these paths, as globs: src/**, *.py, **/test_*.")
    branch: Values = Field(None, description="These branches in place of each repository's default.")
    cursor: Cursor = Field(None, description="next_cursor of the answer before, to go on there.")

    def filters(self) -> dict[str, Any]:
        """Those that are set, as `Engine.search` takes them."""
        return {name: value for name in FILTERS if (value := getattr(self, name, None))}

    @property
    def start(self) -> int:
        """How many come before this page."""
        return int(self.cursor or 0)


class SearchCode(Filters):
    """Arguments of search_code."""

    query: str = Field(
        min_length=1,
        max_length=65536,
        description='What the code does, in words, or names in it. "exact phrase", /regex/ and -word also work.',
    )
    kind: Values = Field(None, description="Only chunks of this kind: code, docs, config, function, class, …")
    symbol: Values = Field(None, description="Only chunks that define this name.")
    limit: int = Field(10, ge=1, le=50)


class Grep(Filters):
    """Arguments of grep."""

    pattern: str = Field(
        min_length=1, max_length=1000, description="A regular expression in re2's syntax, matched within a line."
    )
    literal: bool = Field(False, description="Take the pattern as it stands, not as a regular expression.")
    ignore_case: bool = False
    limit: int = Field(100, ge=1, le=500, description="The most lines.")


class ReadFile(Arguments):
    """Arguments of read_file."""

    repo: str = Field(min_length=1, max_length=1000, description="Full name of the repository, or the end of it.")
    path: str = Field(min_length=1, max_length=4096, description="From the repository's root.")
    branch: str | None = Field(None, max_length=1000)
    start_line: int | None = Field(None, ge=1, description="First line, from 1.")
    end_line: int | None = Field(None, ge=1, description="Last line, included.")
    cursor: Cursor = Field(None, description="next_cursor of the answer before.")


class ListRepos(Arguments):
    """Arguments of list_repos."""

    name: str = Field("", max_length=1000, description="Part of the name, in any case.")
    limit: int = Field(50, ge=1, le=200)
    cursor: Cursor = Field(None, description="next_cursor of the answer before.")


class FindDefinitions(Filters):
    """Arguments of find_definitions."""

    name: str = Field(
        min_length=1, max_length=1000, description="The name as it is written, or qualified: Client.send."
    )
    limit: int = Field(20, ge=1, le=100)


class BuildContext(Filters):
    """Arguments of build_context."""

    question: str = Field(min_length=1, max_length=65536)
    budget: int = Field(6000, ge=100, le=7000, description="The most tokens of the context.")
    format: Literal["markdown", "xml", "json"] = "markdown"
