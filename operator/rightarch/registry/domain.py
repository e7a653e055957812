"""Domains: which hosts are somebody's own, and which are neighbours at the same landlord.

By the public suffix list (https://publicsuffix.org/list/), its private section too: ``github.io`` is a suffix like
``com``, since whoever asks for it gets a name below. The list is a part of the ``publicsuffixlist`` package, and is
never fetched.
"""

from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList

SHARED: Final = frozenset(
    {
        "amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "on.aws", "amazonwebservices.com.cn",
        "azurecr.io", "azurecr.cn", "azurecr.us",
        "gcr.io", "pkg.dev",
        "aliyuncs.com", "cloudsmith.io", "jfrog.io", "myhuaweicloud.com", "ocir.io", "tencentcloudcr.com",
        "vultrcr.com",
    }
)  # fmt: skip
"""Domains in which landlords of registries give names to their customers, and which the list lacks as a whole."""


def related(host: str, other: str) -> bool:
    """Whether two hosts are in one registrable domain, so that one owner has a say over both.

    No address is related to another, nor a name whose top level is not on the list, such as ``cluster.local`` and
    ``corp``: who owns what there is not for the list to say.

    Args:
        host: as a URL has it in ASCII, without a port.
        other: likewise.
    """
    domain = registrable(host)
    return domain is not None and domain == registrable(other)


def registrable(host: str) -> str | None:
    """The domain of a host that somebody registered, in lower case; None where the list knows none."""
    domain = suffixes().privatesuffix(host)
    return None if domain in SHARED else domain


@cache
def suffixes() -> PublicSuffixList:
    """The list. To read it takes a twentieth of a second, so a process that serves does it when it starts."""
    return PublicSuffixList(accept_unknown=False)
