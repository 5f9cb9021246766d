"""What a nightly run is asked for in tests: digests, commits at the tips of branches, known environments."""

from datetime import UTC, datetime

from bot.nightly.input_changes import Digests
from bot.nightly.plan import NightlyRequest
from matrix.environments.choose import load_environments
from matrix.model import Device

DIGESTS = Digests("sha256:" + "c" * 64, "sha256:" + "d" * 64)
ASKED = NightlyRequest(datetime(2026, 11, 22, 1, 37, tzinfo=UTC), Device.CUDA, DIGESTS, cases=4, shards=8, oldest=30)
TIP, EARLIER = "a" * 40, "b" * 40
KNOWN = load_environments()
