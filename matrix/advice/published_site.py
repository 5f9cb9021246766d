"""A published site as a source of advice. It may be anybody's, so its file is validated strictly."""

from collections.abc import Mapping
from datetime import date

from pydantic import TypeAdapter, ValidationError

from matrix.advice.advice_file import PATH, AdviceEnvironment, AdviceFile
from matrix.advice.known import load_known
from matrix.advice.safety import Tried
from matrix.checks import VARIANTS
from matrix.download import DownloadError, fetch
from matrix.environments.packages import UNCROSSED


class PublishedSite:
    """The site below `address`. Raises DownloadError for what cannot be fetched or is not from a site of this project."""

    def __init__(self, address: str) -> None:
        self._file = _fetch(f"{address.rstrip('/')}/{PATH}")
        self.night = self._file.newest or date.min  # a site before its first nightly run
        self._known = load_known()
        self._environments = {one.id: one for one in self._file.environments}

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of all architectures."""
        return tuple(self._file.verdicts)

    def tried(self, name: str) -> tuple[Tried, ...]:
        """Returns what was measured of one of `names`."""
        found = (self._tried(environment, name) for environment in self._file.environments)
        return tuple(one for one in found if one.counts)

    def others(self, tried: Tried) -> Mapping[str, str]:
        """Returns the versions of the other packages there that decide a result."""
        environment = self._environments[tried.environment]
        return {name: vars(environment)[name] for name in UNCROSSED}

    def _tried(self, one: AdviceEnvironment, name: str) -> Tried:
        cases = self._file.verdicts[name].get(one.id, {})
        found = ((variant, cases.get(variant.slug)) for variant in VARIANTS)
        verdicts = {variant: verdict for variant, verdict in found if verdict}
        ids = self._file.known.get(name, {}).get(one.id, ())
        return Tried(
            one.id,
            one.transformers,
            one.deepspeed,
            one.device,
            one.measured,
            verdicts,
            stale=one.stale,
            flaky=one.flaky,
            known=tuple(known for known in self._known if known.id in ids),
        )


def _fetch(address: str) -> AdviceFile:
    try:
        return TypeAdapter(AdviceFile).validate_json(fetch(address), strict=True)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise DownloadError(
            address, f"not the advice file of a site that this project made ({where[:100]}: {problem['type']})"
        ) from error
