"""Host names, as `ALLOWED_HOSTS` lists them and as requests send them."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address

ANY_HOST = "*"
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_][a-z0-9_.-]*))(?::[0-9]*)?")


def host_of(text: str) -> str | None:
    """Return the host in lower case, without port and brackets, or `None` if it is not a host."""
    found = HOST.fullmatch(text.strip().lower())
    if found is None or found[1] is None:
        return found and found[2].removesuffix(".")
    try:
        return IPv6Address(found[1]).compressed
    except ValueError:
        return None


def split_hosts(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def parse_host(name: str) -> str:
    """Return a host or a pattern as it is compared, or raise `ValueError`."""
    if name == ANY_HOST:
        return name
    wildcard = "*." if name.startswith("*.") else ""
    is_ipv6 = name.count(":") > 1 and not name.startswith("[")
    host = host_of(f"[{name}]" if is_ipv6 else name.removeprefix(wildcard))
    if host is None:
        raise ValueError("has something else than host names: api.example.com,*.example.com")
    return wildcard + host


class HostPatterns:
    """`*.example.com` stands for all names that end in `.example.com`, `*` for any host."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = frozenset(patterns)
        self.endings = tuple(each[1:] for each in patterns if each.startswith("*."))

    def match(self, header: str) -> bool:
        host = host_of(header)
        return ANY_HOST in self.patterns or (
            host is not None and (host in self.patterns or host.endswith(self.endings))
        )
