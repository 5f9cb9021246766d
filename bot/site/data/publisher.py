"""PURE. Who publishes a site, and where."""

import re
from dataclasses import dataclass
from typing import Final

ADDRESS: Final = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
"""Of a site's root: absolute, with nothing after its path."""


@dataclass(frozen=True)
class Publisher:
    """Who publishes a site: `authority` is a domain of theirs, which names what is in the feed for ever (RFC 4151).

    `address` is that of the site's root. Readers of feeds want absolute links; without it they are from the root.
    """

    authority: str = "zero3-matrix.invalid"  # nobody's
    address: str = ""

    def link(self, page: str) -> str:
        """Returns the address of a page of the site."""
        return f"{self.address.rstrip('/')}/{page}" if self.address else page


NOBODY: Final = Publisher()
