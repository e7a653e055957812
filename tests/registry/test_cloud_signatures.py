"""Signatures are those of AWS's own test suite and documentation, and tell every part of a request from another."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from rightarch.registry.cloud.sigv4 import Keys, Scope, sign

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SESSION = (  # of post-sts-header-before
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
    "x7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY"
    "9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
SERVICE = Scope("us-east-1", "service")
FORM = "application/x-www-form-urlencoded"
SUITE = "https://example.amazonaws.com/"


@dataclass(frozen=True)
class Vector:
    """A request and its published signature."""

    name: str
    signature: str
    method: str = "POST"
    url: str = SUITE
    content_type: str = ""
    content: bytes = b""
    session: str | None = None
    service: str = "service"


VECTORS = (
    Vector("get-vanilla", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "GET"),
    Vector(
        "get-vanilla-query-order-key-case",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        "GET",
        f"{SUITE}?Param2=value2&Param1=value1",
    ),
    Vector("post-vanilla", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    Vector(
        "post-x-www-form-urlencoded",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        content_type=FORM,
        content=b"Param1=value1",
    ),
    Vector(
        "post-sts-header-before",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        session=SESSION,
    ),
    Vector(
        "ListUsers, of the documentation",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        content_type=f"{FORM}; charset=utf-8",
        service="iam",
    ),
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_signatures_are_those_that_aws_publishes(vector: Vector) -> None:
    """The vectors of the test suite of Signature Version 4 that have the form of our requests."""
    keys = Keys(KEYS.access, KEYS.secret, vector.session)
    headers = {"content-type": vector.content_type} if vector.content_type else {}
    request = httpx.Request(vector.method, vector.url, content=vector.content)
    sent = sign(request, headers, keys, Scope("us-east-1", vector.service), NOW)
    names = "content-type;" * bool(headers) + "host;x-amz-date" + ";x-amz-security-token" * bool(vector.session)
    credential = f"AKIDEXAMPLE/20150830/us-east-1/{vector.service}/aws4_request"
    expected = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={vector.signature}"
    assert sent["authorization"] == expected
    assert sent["x-amz-date"] == "20150830T123600Z"


@pytest.mark.parametrize(
    ("url", "content", "header", "scope"),
    [
        ("https://elsewhere.amazonaws.com/", b"{}", "a", SERVICE),
        (SUITE, b"{ }", "a", SERVICE),
        (SUITE, b"{}", "b", SERVICE),
        (SUITE, b"{}", "a", Scope("us-east-2", "service")),
        (SUITE, b"{}", "a", Scope("us-east-1", "services")),
    ],
)
def test_every_part_of_a_request_is_signed(url: str, content: bytes, header: str, scope: Scope) -> None:
    """Host, body, headers, region and service: changed, the signature is another."""
    one = sign(httpx.Request("POST", SUITE, content=b"{}"), {"x-amz-target": "a"}, KEYS, SERVICE, NOW)
    other = sign(httpx.Request("POST", url, content=content), {"x-amz-target": header}, KEYS, scope, NOW)
    assert one["authorization"].rpartition("=")[2] != other["authorization"].rpartition("=")[2]


def test_keys_are_never_printed() -> None:
    """Neither the id nor the secrets."""
    assert repr(Keys("AKIDEXAMPLE", "secret", "session")) == "Keys()"
