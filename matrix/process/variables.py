"""Chooses the variables that untrusted code sees: an allow-list, without credentials.

PURE: no input or output.
"""

import re
from collections.abc import Mapping
from typing import Final

# fmt: off
_NAMES: Final = frozenset({
    "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_TORCH_BACKEND",
    "UV_EXCLUDE_NEWER", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_OFFLINE",
    "CARGO_HOME", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
})
# fmt: on
_PREFIXES: Final = ("LC_", "CUDA", "NCCL_", "NVIDIA_", "GLOO_")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")
_GIT_SETTING: Final = re.compile(r"url\..*\.insteadof|safe\.directory", re.IGNORECASE)


def _git_settings(outer: Mapping[str, str]) -> dict[str, str]:
    """Returns git's mirrors from its variables (GIT_CONFIG_COUNT), without other settings, which can be tokens."""
    count = outer.get("GIT_CONFIG_COUNT", "")
    numbers = range(min(int(count), 100)) if count.isdecimal() else ()
    pairs = [(outer.get(f"GIT_CONFIG_KEY_{n}", ""), outer.get(f"GIT_CONFIG_VALUE_{n}", "")) for n in numbers]
    # A mirror's address may hold a password as well, here in the key: url.<address>.insteadOf.
    kept = [(key, value) for key, value in pairs if _GIT_SETTING.fullmatch(key) and not _CREDENTIALS.search(key)]
    named = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(kept)}
    values = {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(kept)}
    return {"GIT_CONFIG_COUNT": str(len(kept)), **named, **values} if kept else {}


def filter_variables(outer: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of `outer` that untrusted code may see, without the credentials in their addresses."""
    kept = {name: value for name, value in outer.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return {name: _CREDENTIALS.sub("", value) for name, value in (kept | _git_settings(outer)).items()}
