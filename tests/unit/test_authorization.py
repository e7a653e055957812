"""Tokens: fetched when asked for, remembered while they last, and credentials shown to nobody else."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from rightarch.errors import ImageError
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry.authorization import Authorizer
from rightarch.registry.client import Client
from rightarch.registry.hosts import Hosts
from rightarch.registry.keychain import BEARER, IDENTITY, Credential
from rightarch.registry.options import RegistryOptions
from tests.images import Entry, index, single

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

APP = Reference.parse("registry.example.com/team/app:1")
URL = "https://registry.example.com/v2/team/app/manifests/1"
REALM = "https://registry.example.com/token"
ALICE = Credential("alice", "secret-of-alice")
BASIC = "Basic " + b64encode(b"alice:secret-of-alice").decode()
IMAGE = index(Entry(single("linux/arm64"), "linux/arm64"))
FOUND = ImagePlatforms(IMAGE.digest, (Platform("linux", "arm64"),), indexed=True)


@dataclass
class World:
    """The servers that a flow talks to, as a function, and what they were asked."""

    answer: Callable[[httpx.Request], httpx.Response]
    asked: list[httpx.Request] = field(default_factory=list)

    def drive(self, flow: Generator[httpx.Request, httpx.Response, Any]) -> Any:  # noqa: ANN401 - whatever it returns
        """Answer a flow's requests until it returns; each is kept as it was when it was sent."""
        try:
            request = next(flow)
            while True:
                sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
                self.asked.append(sent)
                request = flow.send(self.answer(sent))
        except StopIteration as stop:
            return stop.value

    @property
    def paths(self) -> list[str]:
        """Hosts and paths that were asked, in order."""
        return [f"{request.url.host}{request.url.path}" for request in self.asked]


@dataclass
class Clock:
    """A clock that tests turn."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


def registry(
    request: httpx.Request,
    *,
    challenge: str = f'Bearer realm="{REALM}",service="s"',
    token: object = "t1",  # noqa: S107 - no secret
    **more: object,
) -> httpx.Response:
    """A registry with its token service: it wants any authorization at all."""
    if request.url.path.endswith("token"):
        return httpx.Response(200, content=orjson.dumps({"token": token} | more), request=request)
    if "authorization" not in request.headers:
        return httpx.Response(401, headers={"www-authenticate": challenge}, request=request)
    return httpx.Response(200, content=b"fine", request=request)


def send(authorizer: Authorizer, world: World, credential: Credential | None = None, url: str = URL) -> httpx.Response:
    """Send one request by an authorizer."""
    response = world.drive(authorizer.send(httpx.Request("GET", url), credential))
    assert isinstance(response, httpx.Response)
    return response


def test_three_two_one() -> None:
    """Nothing known takes three requests, a remembered realm two, a remembered token one."""
    authorizer, world = Authorizer(RegistryOptions()), World(registry)
    assert send(authorizer, world).status_code == 200
    assert len(world.asked) == 3
    send(authorizer, world, url=URL.replace("team/app", "team/other"))
    assert len(world.asked) == 5
    send(authorizer, world)
    assert len(world.asked) == 6
    assert world.asked[-1].headers["authorization"] == "Bearer t1"


def test_what_a_token_service_is_asked() -> None:
    """It is told the service and the repository, and the credential by Basic; the registry never sees the password."""
    authorizer, world = Authorizer(RegistryOptions()), World(registry)
    send(authorizer, world, ALICE)
    first, token, second = world.asked
    assert str(token.url) == f"{REALM}?scope=repository%3Ateam%2Fapp%3Apull&service=s"
    assert token.headers["authorization"] == BASIC
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Bearer t1"


def test_scopes_that_are_no_repository_are_asked_for_too() -> None:
    """Some registries want a word of their own; a repository that the challenge names is ours or not our business."""
    challenge = f'Bearer realm="{REALM}",scope="aws repository:other:pull,push"'
    world = World(lambda request: registry(request, challenge=challenge))
    send(Authorizer(RegistryOptions()), world)
    assert world.asked[1].url.params.get_list("scope") == ["repository:team/app:pull", "aws"]


def test_parameters_of_the_realm_stay() -> None:
    """A realm may have parameters of its own; userinfo in it is dropped, so that it does not become a credential."""
    challenge = 'Bearer realm="https://user:pass@registry.example.com/token?account=x"'
    world = World(lambda request: registry(request, challenge=challenge))
    send(Authorizer(RegistryOptions()), world)
    assert str(world.asked[1].url) == f"{REALM}?account=x&scope=repository%3Ateam%2Fapp%3Apull"


@pytest.mark.parametrize(
    ("expires_in", "fresh", "expired"),
    [(300, 290, 300), (None, 50, 60), (5, 50, 60), (True, 50, 60), ("300", 50, 60), (10**12, 86_000, 86_400)],
)
def test_the_life_of_a_token(expires_in: object, fresh: float, expired: float) -> None:
    """A token is used until shortly before it expires; missing, small or odd times mean 60 s, long ones a day."""
    clock = Clock()
    authorizer = Authorizer(RegistryOptions(), clock)
    world = World(lambda request: registry(request, expires_in=expires_in))
    send(authorizer, world)
    clock.now += fresh
    send(authorizer, world)
    assert len(world.asked) == 4
    clock.now += expired - fresh
    send(authorizer, world)
    assert len(world.asked) == 6


def test_access_token() -> None:
    """The token may be called ``access_token``, as OAuth does."""
    world = World(lambda request: registry(request, token=None, access_token="t2"))  # noqa: S106 - no secret
    send(Authorizer(RegistryOptions()), world)
    assert world.asked[-1].headers["authorization"] == "Bearer t2"


def test_tokens_are_kept_apart_by_credential() -> None:
    """What a credential obtained is not used for somebody who has none."""
    authorizer, world = Authorizer(RegistryOptions()), World(registry)
    send(authorizer, world, ALICE)
    send(authorizer, world)
    token = world.asked[3]
    assert token.url.path == "/token"
    assert "authorization" not in token.headers


def test_a_token_that_is_refused_is_replaced_once() -> None:
    """A remembered token that the registry no longer takes costs one more try, and no endless loop."""
    accepted = ["Bearer old"]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return registry(request, token=accepted[0].removeprefix("Bearer "))
        fits = request.headers.get("authorization") == accepted[0]
        challenge = {"www-authenticate": f'Bearer realm="{REALM}",error="invalid_token"'}
        return httpx.Response(200 if fits else 401, headers=challenge, request=request)

    authorizer, world = Authorizer(RegistryOptions()), World(answer)
    send(authorizer, world)
    accepted[0] = "Bearer new"
    world.asked.clear()
    assert send(authorizer, world).status_code == 200
    assert [request.headers.get("authorization") for request in world.asked] == ["Bearer old", None, "Bearer new"]


def test_an_identity_token_is_posted() -> None:
    """It goes to the token service as a refresh token, in the body of a POST, and to nobody else."""
    world = World(registry)
    world.drive(Authorizer(RegistryOptions()).send(httpx.Request("GET", URL), Credential(IDENTITY, "i&d")))
    asked = world.asked[1]
    assert (asked.method, str(asked.url)) == ("POST", REALM)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(httpx.QueryParams(asked.content.decode())) == {
        "grant_type": "refresh_token",
        "client_id": "rightarch",
        "refresh_token": "i&d",
        "service": "s",
        "scope": "repository:team/app:pull",
    }
    assert [each.headers.get("authorization") for each in world.asked] == [None, None, "Bearer t1"]


def test_a_registry_s_token_is_sent_as_it_is() -> None:
    """To the registry that asks for one, at once when that is known; never to a token service, nor as a password."""
    authorizer, world = Authorizer(RegistryOptions()), World(registry)
    credential = Credential(BEARER, "given")
    assert send(authorizer, world, credential).status_code == 200
    assert send(authorizer, world, credential).status_code == 200
    assert [each.headers.get("authorization") for each in world.asked] == [None, "Bearer given", "Bearer given"]
    basic = World(lambda request: httpx.Response(401, headers={"www-authenticate": "Basic"}, request=request))
    assert send(Authorizer(RegistryOptions()), basic, credential).status_code == 401
    assert [each.headers.get("authorization") for each in basic.asked] == [None]


def test_an_identity_token_is_no_password() -> None:
    """A registry that takes names and passwords is not given one: it would see a secret that is not for it."""
    world = World(lambda request: httpx.Response(401, headers={"www-authenticate": "Basic"}, request=request))
    world.drive(Authorizer(RegistryOptions()).send(httpx.Request("GET", URL), Credential(IDENTITY, "secret")))
    assert [each.headers.get("authorization") for each in world.asked] == [None]


def test_denied_is_an_answer() -> None:
    """A registry that refuses even its own token has answered: no further try."""
    challenge = {"www-authenticate": f'Bearer realm="{REALM}"'}
    world = World(
        lambda request: (
            registry(request)
            if request.url.path == "/token"
            else httpx.Response(401, headers=challenge, request=request)
        )
    )
    authorizer = Authorizer(RegistryOptions())
    assert send(authorizer, world).status_code == 401
    assert len(world.asked) == 3
    assert send(authorizer, world).status_code == 401
    assert len(world.asked) == 5


def test_basic() -> None:
    """Where the registry asks for Basic it gets the credential, the second time at once; without one it gets none."""
    authorizer = Authorizer(RegistryOptions())
    world = World(lambda request: registry(request, challenge='Basic realm="x"'))
    assert send(authorizer, world, ALICE).status_code == 200
    assert [request.headers.get("authorization") for request in world.asked] == [None, BASIC]
    send(authorizer, world, ALICE)
    assert len(world.asked) == 3
    assert send(authorizer, world).status_code == 401


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("registry.example.com", "https://registry.example.com:8443/token"),
        ("registry-1.docker.io", "https://auth.docker.io/token"),
        ("nvcr.io", "https://authn.nvidia.com/token"),
        ("registry.corp", "https://gitlab.corp/token"),
        ("registry.example.com", "https://auth.example.com/token"),
        ("registry.example.com", "https://auth.example.com.:8443/token"),
        ("registry.example.co.uk", "https://example.co.uk/token"),
        ("registry.xn--mnchen-3ya.de", "https://auth.xn--mnchen-3ya.de/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/token"),
    ],
)
def test_trusted_realms(host: str, realm: str) -> None:
    """A credential goes to the registry's own host, its domain, a known pair, and what the configuration names."""
    options = RegistryOptions(token_realms={"registry.corp": frozenset({"gitlab.corp"})})
    world = World(lambda request: registry(request, challenge=f'Bearer realm="{realm}"'))
    send(Authorizer(options), world, ALICE, f"https://{host}/v2/team/app/manifests/1")
    assert world.asked[1].headers["authorization"] == BASIC


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("registry.example.com", "https://auth.example.org/token"),
        ("registry.example.com", "https://auth.docker.io/token"),
        ("registry.example.com", "https://registry.example.com.evil.com/token"),
        ("registry.example.com", "https://registry.example.com@evil.example/token"),
        ("registry.example.com", "http://registry.example.com/token"),
        ("registry.example.com", "http://auth.example.com/token"),
        ("registry.example.com", "http://127.0.0.1/token"),
        ("ours.azurecr.io", "https://theirs.azurecr.io/token"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "https://theirs.s3.eu-west-1.amazonaws.com/token"),
        ("registry.ours.svc.cluster.local", "https://auth.theirs.svc.cluster.local/token"),
        ("10.0.0.1", "https://10.0.0.2/token"),
        ("[2001:db8::1]", "https://[2001:db8::2]/token"),
    ],
)
def test_untrusted_realms(host: str, realm: str) -> None:
    """Elsewhere, or over anything but https, a credential is not sent: nothing is asked, and the error says why."""
    world = World(lambda request: registry(request, challenge=f'Bearer realm="{realm}"'))
    with pytest.raises(ImageError) as caught:
        send(Authorizer(RegistryOptions()), world, ALICE, f"https://{host}/v2/team/app/manifests/1")
    assert caught.value.reason is Reason.UNTRUSTED_REALM
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    "realm",
    [
        "ftp://registry.example.com/token",
        "//registry.example.com/token",
        "token",
        "https://[x/token",
        "https:///token",
        "https://registry.example.com%2f.evil.example/token",
        "https://registry.example.com:99999/token",
    ],
)
def test_realms_that_are_nowhere(realm: str) -> None:
    """A realm that is no URL, or that two parsers could read in two ways, is a fault of the registry."""
    world = World(lambda request: registry(request, challenge=f'Bearer realm="{realm}"'))
    with pytest.raises(ImageError) as caught:
        send(Authorizer(RegistryOptions()), world, ALICE)
    assert caught.value.reason is Reason.REGISTRY_FAILED
    assert len(world.asked) == 1


def test_without_a_credential_any_https_realm_will_do() -> None:
    """There is nothing to lose: many public registries have their token service elsewhere."""
    world = World(lambda request: registry(request, challenge='Bearer realm="https://auth.example.org/token"'))
    assert send(Authorizer(RegistryOptions()), world).status_code == 200


def test_the_error_names_the_setting() -> None:
    """Who runs a registry with a token service elsewhere is told which setting to change."""
    world = World(lambda request: registry(request, challenge='Bearer realm="https://gitlab.corp/token"'))
    with pytest.raises(
        ImageError, match=r"gitlab\.corp, which is in another domain, and no host that tokenRealms names for registry\."
    ):
        send(Authorizer(RegistryOptions()), world, ALICE)


def test_plain_http_realms_on_loopback() -> None:
    """Where loopback is allowed, a token service there may speak plain HTTP."""
    challenge = 'Bearer realm="http://127.0.0.1:5001/token"'
    world = World(lambda request: registry(request, challenge=challenge))
    url = "https://127.0.0.1:5000/v2/team/app/manifests/1"
    assert send(Authorizer(RegistryOptions(allow_loopback=True)), world, ALICE, url).status_code == 200


BAD_TOKENS = {
    "status 401": (httpx.Response(401), Reason.ACCESS_DENIED),
    "status 403": (httpx.Response(403), Reason.ACCESS_DENIED),
    "status 429": (httpx.Response(429, headers={"retry-after": "7"}), Reason.RATE_LIMITED),
    "status 500": (httpx.Response(500), Reason.REGISTRY_FAILED),
    "not JSON": (httpx.Response(200, content=b"<html>"), Reason.REGISTRY_FAILED),
    "an array": (httpx.Response(200, content=b"[]"), Reason.REGISTRY_FAILED),
    "no token": (httpx.Response(200, content=b"{}"), Reason.REGISTRY_FAILED),
    "no text": (httpx.Response(200, content=b'{"token": 1}'), Reason.REGISTRY_FAILED),
    "a second header": (httpx.Response(200, content=rb'{"token": "a\r\nX: y"}'), Reason.REGISTRY_FAILED),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_token_services_that_fail(answer: httpx.Response, reason: Reason) -> None:
    """Each failure of a token service has its Reason; its answer is not repeated."""

    def world(request: httpx.Request) -> httpx.Response:
        answer.request = request
        return answer if request.url.path == "/token" else registry(request)

    with pytest.raises(ImageError) as caught:
        send(Authorizer(RegistryOptions()), World(world), ALICE)
    assert caught.value.reason is reason
    assert caught.value.retry_after == (7 if reason is Reason.RATE_LIMITED else None)
    assert "secret" not in str(caught.value)
    assert "html" not in str(caught.value)


def test_a_realm_that_fails_is_forgotten() -> None:
    """A registry that has moved its token service is asked again where that is."""
    authorizer, world = Authorizer(RegistryOptions()), World(registry)
    send(authorizer, world)
    flow = authorizer.send(httpx.Request("GET", URL.replace("app", "other")), None)
    assert next(flow).url.path == "/token"
    with pytest.raises(ImageError):
        flow.throw(ImageError.of(Reason.REGISTRY_UNREACHABLE, "gone"))
    world.asked.clear()
    send(authorizer, world, url=URL.replace("app", "other"))
    assert world.paths[0].startswith("registry.example.com/v2/")


def test_a_password_is_never_printed() -> None:
    """Neither a credential nor what holds it shows the password."""
    assert "secret" not in f"{ALICE!r} {ALICE} {[ALICE]}"


def content(request: httpx.Request) -> httpx.Response:
    """The manifest of the image."""
    headers = {"content-type": IMAGE.root.media_type, "docker-content-digest": IMAGE.digest}
    return httpx.Response(200, headers=headers, content=IMAGE.root.body, request=request)


def find(world: World, credential: Credential | None = ALICE) -> ImagePlatforms:
    """Look the image up with a client that remembers nothing."""
    client = Client(Authorizer(RegistryOptions()), {}, Hosts({}, None))
    found = world.drive(client.find(APP, credential, confirm=False))
    assert isinstance(found, ImagePlatforms)
    return found


def redirecting(location: str, answer: Callable[[httpx.Request], httpx.Response]) -> World:
    """A registry that wants a token, and then points elsewhere."""

    def world(request: httpx.Request) -> httpx.Response:
        if request.url.host != "registry.example.com" or request.url.path.startswith("/elsewhere"):
            return answer(request)
        response = registry(request)
        if response.status_code == 200 and request.url.path != "/token":
            return httpx.Response(307, headers={"location": location}, request=request)
        return response

    return World(world)


def test_authorization_is_not_forwarded() -> None:
    """A redirect to another host is followed without what was meant for the first."""
    world = redirecting("https://user:pw@storage.example.net/x?signature=1", content)
    assert find(world) == FOUND
    assert world.asked[-1].url == "https://storage.example.net/x?signature=1"
    assert "authorization" not in world.asked[-1].headers


def test_another_port_is_another_host() -> None:
    """The same name with another port does not get the credential either."""
    world = redirecting("https://registry.example.com:444/elsewhere", content)
    assert find(world) == FOUND
    assert "authorization" not in world.asked[-1].headers


def test_the_other_host_may_want_a_token_of_its_own() -> None:
    """Where a redirect leads to another registry, that is asked anonymously, with its own token service."""
    challenge = 'Bearer realm="https://other.example.net/token"'
    location = "https://other.example.net/v2/proxied/app/manifests/1"

    def answer(request: httpx.Request) -> httpx.Response:
        response = registry(request, challenge=challenge, token="theirs")  # noqa: S106 - no secret
        return content(request) if response.content == b"fine" else response

    world = redirecting(location, answer)
    assert find(world) == FOUND
    token = world.asked[-2]
    assert token.url.params["scope"] == "repository:proxied/app:pull"
    assert "authorization" not in token.headers
    assert world.asked[-1].headers["authorization"] == "Bearer theirs"


def test_relative_redirects() -> None:
    """A redirect within the registry keeps its authorization."""
    world = redirecting("/elsewhere", content)
    assert find(world) == FOUND
    assert world.asked[-1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("location", ["https://[x/", "file:///etc/passwd", "https:///x", "https://a:99999999/"])
def test_redirects_to_nowhere(location: str) -> None:
    """A redirect to what is no URL of the web is a fault of the registry."""
    with pytest.raises(ImageError) as caught:
        find(redirecting(location, content))
    assert caught.value.reason is Reason.REGISTRY_FAILED


def test_redirects_are_bounded() -> None:
    """A registry that redirects in circles is given up."""
    world = World(lambda request: httpx.Response(302, headers={"location": URL}, request=request))
    with pytest.raises(ImageError, match="redirects more than 5 times") as caught:
        find(world)
    assert caught.value.reason is Reason.REGISTRY_FAILED
    assert len(world.asked) == 6
