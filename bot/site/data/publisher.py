"""PURE. Who publishes a site, and where."""

import re
from dataclasses import dataclass
from typing import Final

ADDRESS: Final = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
"""Of a site's root: absolute, with nothing after its path."""


@dataclass(frozen=True)
class Publisher:
    """The publisher of a site. `authority` is their domain, which is part of the ids of the feed for ever (RFC 4151).

    `address` is the address of the site's root, for the absolute links that feed readers need. Without it, links are
    relative to the root.
    """

    authority: str = "zero3-matrix.invalid"  # nobody's
    address: str = ""

    def link(self, page: str) -> str:
        """Returns the address of a page of the site."""
        return f"{self.address.rstrip('/')}/{page}" if self.address else page


NOBODY: Final = Publisher()
