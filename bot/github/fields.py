"""PURE. Fields of what comes from outside, checked strictly by pydantic wherever they are read.

PURE: no input or output.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A full commit name."""

RepositoryName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}/\.{0,99}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
]
"""`owner/name`, which no path such as `owner/..` is."""

Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$")]
"""Who writes: a user, or an app, whose logins alone may end with `[bot]`."""

Number = Annotated[int, Field(ge=1, le=2**53)]
"""An id or a number that GitHub counts up; 2**53 is as far as every JSON reader goes."""

Moment = Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""A time as GitHub writes it, which sorts as text."""

WorkflowPath = Annotated[
    str, StringConstraints(pattern=r"^\.github/workflows/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.ya?ml$")
]
"""A workflow's file in its repository."""

Link = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:-]{1,200}(/[A-Za-z0-9._/#?=&-]{0,500})?$")]
"""An address without anything that Markdown or HTML would read."""

_GLOB = "[A-Za-z0-9_*?][A-Za-z0-9_.:*?-]{0,99}"  # never an option of a command line
SELECTOR = f"{_GLOB}( {_GLOB}){{0,9}}"
Selector = Annotated[str, StringConstraints(pattern=f"^({SELECTOR})?$")]
"""Globs of architectures, separated by spaces; empty for all."""

_ID_GLOB = "[A-Za-z0-9_*?][A-Za-z0-9_.+*?-]{0,199}"
EnvironmentSelector = Annotated[str, StringConstraints(pattern=rf"^({_ID_GLOB}( {_ID_GLOB}){{0,9}})?$")]
"""Globs of environment ids, separated by spaces; empty for all."""

SetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
"""A set of environments.toml."""
