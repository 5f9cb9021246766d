"""PURE. Where the pages of the site are: paths with `/`, from the site's root. They never change."""

import hashlib
import re
from functools import lru_cache
from typing import Final

from matrix.model import CaseKey, Check, Device, Loader

LIMIT: Final = 120
_OURS: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.+:-]{{0,{LIMIT - 1}}}")

START: Final = "index.html"
ENVIRONMENTS: Final = "environments/index.html"
ARCHITECTURES: Final = "architectures/index.html"
FINDINGS: Final = "findings/index.html"
ABOUT: Final = "about.html"
FEED: Final = "feed.atom"
API: Final = "api/v1/index.json"


@lru_cache(10_000)  # few names, many links
def slug(name: str) -> str:
    """Returns the name of the file for an id: `:` as `~` and `+` as `,`; any other name gets a digest, so that none collide."""
    if _OURS.fullmatch(name):
        return name.replace(":", "~").replace("+", ",")
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:LIMIT]
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{safe}-{digest}"


def heat(device: Device, loader: Loader, check: Check | None = None) -> str:
    """Returns the heat map of one switch position; without `check`, of all checks together."""
    return f"heat/{device}-{loader}-{check or 'all'}.html"


def environment(name: str) -> str:
    """Returns the page of the environment with the id `name`."""
    return f"environments/{slug(name)}.html"


def architecture(name: str) -> str:
    """Returns the page of the architecture with the id `name`."""
    return f"architectures/{slug(name)}.html"


def case(environment_id: str, key: CaseKey) -> str:
    """Returns the place of one case: on the page that its environment and architecture share."""
    return f"{cases(environment_id, key.architecture)}#{key.variant.slug}"


def cases(environment_id: str, architecture_id: str) -> str:
    """Returns the page of all cases of an architecture in an environment."""
    return f"{cases_of(environment_id)}/{slug(architecture_id)}.html"


def cases_of(environment_id: str) -> str:
    """Returns the folder of the pages of all cases in an environment."""
    return f"cases/{slug(environment_id)}"


def finding(name: str) -> str:
    """Returns the page of the upstream failure with the slug `name`."""
    return f"findings/{slug(name)}.html"
