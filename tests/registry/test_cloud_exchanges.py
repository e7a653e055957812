"""Which host is whose, whom the exchanges ask, and what they make of answers: without a network.

The endpoints are compared as text with what the clouds document. None of them is ever connected to.
"""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from rightarch.registry.cloud import aws, azure, ecr, exchange, google
from rightarch.registry.cloud.exchange import Exchange, Lease, NoCredential
from rightarch.registry.cloud.sigv4 import Keys
from rightarch.registry.keychain import Credential

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
EXPIRATION = "2026-09-21T15:13:20Z"
KEYS = {"AccessKeyId": "ASIA1", "SecretAccessKey": "secret", "Token": "session", "Expiration": EXPIRATION}
ECR = "https://api.ecr.eu-west-1.amazonaws.com/"


@pytest.fixture
def token(tmp_path: Path) -> str:
    """The path of a ServiceAccount's token."""
    path = tmp_path / "token"
    path.write_text("header.claims.signature\n")
    return str(path)


def answered(request: httpx.Request, content: object, status: int = 200, **headers: str) -> httpx.Response:
    """The answer to a request: text as it is, everything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()}, content=body,
                          request=request)  # fmt: skip


def ended(flow: Exchange[Any], response: httpx.Response) -> Any:  # noqa: ANN401 - whatever the flow gives
    """What a flow returns when it receives its last answer."""
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    return stop.value.value


def fields(request: httpx.Request) -> dict[str, str]:
    """The fields of a form."""
    return dict(httpx.QueryParams(request.content.decode()))


@pytest.mark.parametrize(
    ("domain", "url", "region"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", ECR, "eu-west-1"),
        (
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "https://ecr-fips.us-gov-west-1.amazonaws.com/",
            "us-gov-west-1",
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            "cn-north-1",
        ),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "https://api.ecr.eusc-de-east-1.amazonaws.eu/",
         "eusc-de-east-1"),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "https://api.ecr.us-iso-east-1.c2s.ic.gov/",
         "us-iso-east-1"),
        ("123456789012.dkr-ecr.ap-southeast-2.on.aws", "https://ecr.ap-southeast-2.api.aws/", "ap-southeast-2"),
        ("123456789012.dkr-ecr-fips.us-east-2.on.aws", "https://ecr-fips.us-east-2.api.aws/", "us-east-2"),
        ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
         "https://ecr.cn-north-1.api.amazonwebservices.com.cn/", "cn-north-1"),
        ("public.ecr.aws", "https://api.ecr-public.us-east-1.amazonaws.com/", "us-east-1"),
        ("ecr-public.aws.com", "https://api.ecr-public.us-east-1.amazonaws.com/", "us-east-1"),
    ],
)  # fmt: skip
def test_registries_of_ecr_have_these_services(domain: str, url: str, region: str) -> None:
    """As the AWS general reference lists them."""
    api = ecr.locate(domain)
    assert api is not None
    assert (api.url, api.scope.region) == (url, region)


@pytest.mark.parametrize(
    "domain",
    [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
        "123456789012.dkr.ecr.eu-west-1.evil.example",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
        "123456789012.dkr.ecr.evil.example.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.on.aws",
        "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr-ecr.eusc-de-east-1.",
        "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
        "a.123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "١٢٣٤٥٦٧٨٩٠١٢.dkr.ecr.eu-west-1.amazonaws.com",
        "public.ecr.aws.evil.example",
        "ecr.aws",
        "docker.io",
    ],
)
def test_other_hosts_are_not_taken_for_ecr(domain: str) -> None:
    """Who chooses an image chooses its host: nothing that only resembles a registry leads to a request."""
    assert ecr.locate(domain) is None


@pytest.mark.parametrize("domain", ["gcr.io", "eu.gcr.io", "us-docker.pkg.dev", "europe-west1-docker.pkg.dev"])
def test_registries_of_google(domain: str) -> None:
    """Container Registry and Artifact Registry."""
    assert google.HOSTS.fullmatch(domain)


@pytest.mark.parametrize(
    "domain",
    ["a.b.gcr.io", "gcr.io.evil.example", "evilgcr.io", "us-python.pkg.dev", "a.us-docker.pkg.dev", "gcr.io:443",
     "eu-docker.pkg.dev.evil.example", "docker.pkg.dev", "xgcr.io", "GCR.IO"],
)  # fmt: skip
def test_other_hosts_are_not_taken_for_google_s(domain: str) -> None:
    """Neither look-alikes nor Google's other hosts."""
    assert not google.HOSTS.fullmatch(domain)


@pytest.mark.parametrize(
    "domain",
    ["example.azurecr.io", "example.azurecr.cn", "example.azurecr.us", "example-d7abc.azurecr.io",
     "example.eastus.geo.azurecr.io"],
)  # fmt: skip
def test_registries_of_azure(domain: str) -> None:
    """Of all its clouds; with names of their own, with a hash, and by region."""
    assert azure.HOSTS.fullmatch(domain)


@pytest.mark.parametrize(
    "domain",
    ["azurecr.io", "example.azurecr.io.evil.example", "example.azurecr.io:443", "evil.example/azurecr.io",
     "exampleazurecr.io", "a.b.azurecr.io", "-a.azurecr.io", "example.azurecr.de", "example.azurecr.io@evil.example",
     "evil.example#.azurecr.io"],
)  # fmt: skip
def test_other_hosts_are_not_taken_for_azure_s(domain: str) -> None:
    """An access token would be sent there."""
    assert not azure.HOSTS.fullmatch(domain)


def test_without_a_word_from_the_environment_the_documented_endpoints_are_asked(token: str) -> None:
    """Each first request of each identity: what it would be, without sending it."""
    role = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/a", "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    federated = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": token}
    api = ecr.locate("123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    assert api
    flows: dict[str, Exchange[Any]] = {
        "POST https://sts.amazonaws.com/": aws.obtain(role, NOW),
        "POST https://sts.eu-west-1.amazonaws.com/": aws.obtain(role | {"AWS_REGION": "eu-west-1"}, NOW),
        "POST https://sts.cn-north-1.amazonaws.com.cn/": aws.obtain(role | {"AWS_DEFAULT_REGION": "cn-north-1"}, NOW),
        "PUT http://169.254.169.254/latest/api/token": aws.obtain({}, NOW),
        "PUT http://[fd00:ec2::254]/latest/api/token": aws.obtain(
            {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, NOW
        ),
        "GET http://169.254.170.23/v1/credentials": aws.obtain(
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, NOW
        ),
        f"POST {ECR}": ecr.obtain(api, {}, Keys("a", "b"), NOW),
        "GET http://metadata.google.internal./computeMetadata/v1/instance/service-accounts/default/token": (
            google.obtain({})
        ),
        "POST https://login.microsoftonline.com/t/oauth2/v2.0/token": azure.identify(federated),
        "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
        "&resource=https%3A%2F%2Fcontainerregistry.azure.net": azure.identify({}),
        "POST https://example.azurecr.io/oauth2/exchange": azure.obtain("example.azurecr.io", {}, "token"),
    }
    for expected, flow in flows.items():
        request = next(flow)
        assert f"{request.method} {request.url}" == expected


def test_a_role_is_assumed_with_the_service_account_s_token(token: str) -> None:
    """IRSA: one request to STS, unsigned; its keys are good for what is left of an hour."""
    role = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/a", "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    flow = aws.obtain(role, NOW)
    request = next(flow)
    assert fields(request) == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::123456789012:role/a",
        "RoleSessionName": "rightarch",
        "WebIdentityToken": "header.claims.signature",
    }
    assert "authorization" not in request.headers
    names = KEYS | {"SessionToken": "session+/="}
    xml = "".join(f"<{name}>{value}</{name}>\n" for name, value in names.items())
    lease = ended(flow, answered(request, f"<a><Credentials>{xml}</Credentials></a>".encode()))
    assert lease == Lease(Keys("ASIA1", "secret", "session+/="), 3600.0)


def test_static_keys_need_no_request() -> None:
    """They come first, as in the SDKs, and don't expire."""
    environment = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ROLE_ARN": "ignored"}
    with pytest.raises(StopIteration) as stop:
        next(aws.obtain(environment, NOW))
    assert stop.value.value == Lease(Keys("AKIA1", "secret"), float("inf"))


def test_the_agent_of_pod_identity_is_sent_the_token(token: str) -> None:
    """Read anew for each request, because the kubelet replaces it."""
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token,
    }
    flow = aws.obtain(environment, NOW)
    request = next(flow)
    assert request.headers["authorization"] == "header.claims.signature"
    assert ended(flow, answered(request, KEYS)) == Lease(Keys("ASIA1", "secret", "session"), 3600.0)


@pytest.mark.parametrize("uri", ["http://evil.example/", "http://10.0.0.1/", "file:///etc/passwd", "no url", "http://"])
def test_keys_are_asked_for_at_known_hosts_or_by_https(uri: str) -> None:
    """The rule of the SDKs for AWS_CONTAINER_CREDENTIALS_FULL_URI."""
    with pytest.raises(NoCredential):
        next(aws.obtain({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}, NOW))


def test_the_metadata_service_of_an_instance_is_asked_by_version_2() -> None:
    """A token by PUT, then the name of the role, then its keys."""
    flow = aws.obtain({}, NOW)
    request = next(flow)
    assert request.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "300"
    request = flow.send(answered(request, b"metadata-token"))
    assert str(request.url) == "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
    assert request.headers["x-aws-ec2-metadata-token"] == "metadata-token"
    request = flow.send(answered(request, b"node-role\n"))
    assert str(request.url) == "http://169.254.169.254/latest/meta-data/iam/security-credentials/node-role"
    assert ended(flow, answered(request, KEYS)).value == Keys("ASIA1", "secret", "session")


@pytest.mark.parametrize("name", [b"", b"../../user-data", b"<html>", b"a b"])
def test_what_is_no_role_is_not_asked_for(name: bytes) -> None:
    """It would become a part of a path."""
    flow = aws.obtain({}, NOW)
    request = flow.send(answered(next(flow), b"metadata-token"))
    with pytest.raises(NoCredential, match="no role"):
        flow.send(answered(request, name))


def test_the_metadata_service_may_be_forbidden() -> None:
    """By the variable that the SDKs know."""
    with pytest.raises(NoCredential, match="forbids"):
        next(aws.obtain({"AWS_EC2_METADATA_DISABLED": "true"}, NOW))


PASSWORD = base64.b64encode(b"AWS:password").decode()


@pytest.mark.parametrize("wrapped", [lambda data: [data], lambda data: data])
def test_ecr_s_answers_are_names_and_passwords(wrapped: Callable[[object], object]) -> None:
    """Private registries answer with a list, the public one with an object."""
    api = ecr.locate("public.ecr.aws")
    assert api
    flow = ecr.obtain(api, {}, Keys("a", "b"), NOW)
    request = next(flow)
    assert request.headers["x-amz-target"] == "SpencerFrontendService.GetAuthorizationToken"
    assert "/20260921/us-east-1/ecr-public/aws4_request" in request.headers["authorization"]
    data = wrapped({"authorizationToken": PASSWORD, "expiresAt": NOW + 43_200})
    lease = ended(flow, answered(request, {"authorizationData": data}))
    assert lease == Lease(Credential("AWS", "password"), 43_200.0)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"<html>", b'{"authorizationData":', {}, {"authorizationData": []},
        {"authorizationData": [1]}, {"authorizationData": [{"authorizationToken": "%%%", "expiresAt": NOW + 9}]},
        {"authorizationData": [{"authorizationToken": base64.b64encode(b"nocolon").decode(), "expiresAt": NOW + 9}]},
        {"authorizationData": [{"authorizationToken": base64.b64encode(b"\xff:a").decode(), "expiresAt": NOW + 9}]},
        {"authorizationData": [{"authorizationToken": PASSWORD}]},
        {"authorizationData": [{"authorizationToken": PASSWORD, "expiresAt": NOW - 1}]},
        {"authorizationData": [{"authorizationToken": PASSWORD, "expiresAt": "yesterday"}]},
        {"authorizationData": [{"authorizationToken": PASSWORD, "expiresAt": "2020-01-01T00:00:00Z"}]},
        {"authorizationData": [{"authorizationToken": 5, "expiresAt": NOW + 9}]},
    ],
)  # fmt: skip
def test_malformed_answers_of_ecr_are_no_credential(content: object) -> None:
    """Nothing but NoCredential leaves an exchange, and nothing of the answer is in its text."""
    api = ecr.locate("123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    assert api
    flow = ecr.obtain(api, {}, Keys("a", "b"), NOW)
    with pytest.raises(NoCredential) as problem:
        flow.send(answered(next(flow), content))
    assert PASSWORD not in str(problem.value)
    assert not problem.value.transient


@pytest.mark.parametrize(
    "content",
    [{}, KEYS | {"Expiration": EXPIRATION.replace("2026", "2025")}, KEYS | {"Expiration": "soon"},
     KEYS | {"SecretAccessKey": "a\nb"}, KEYS | {"Token": None}, KEYS | {"AccessKeyId": ""}, []],
)  # fmt: skip
def test_malformed_keys_are_no_credential(content: object) -> None:
    """Lacking, expired, or unfit for a header."""
    flow = aws.obtain({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost:1/"}, NOW)
    with pytest.raises(NoCredential):
        flow.send(answered(next(flow), content))


def test_google_s_metadata_service_shows_its_flavor() -> None:
    """Another service at its name is told by the lack of the header."""
    flow = google.obtain({})
    request = next(flow)
    assert request.headers["metadata-flavor"] == "Google"
    content = {"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"}
    lease = ended(flow, answered(request, content, metadata_flavor="Google"))
    assert lease == Lease(Credential("oauth2accesstoken", "ya29.token"), 3599.0)
    flow = google.obtain({})
    with pytest.raises(NoCredential, match="not Google"):
        flow.send(answered(next(flow), content))


@pytest.mark.parametrize("life", [None, 0, -5, "", "soon", True, [1], float("nan"), float("inf"), "9" * 30])
def test_a_token_of_no_life_is_no_credential(life: object) -> None:
    """Without a time it could be used for ever."""
    content = {"access_token": "a"} | ({} if life is None else {"expires_in": life})
    flow = azure.identify({})
    body = json.dumps(content).encode()
    with pytest.raises(NoCredential):
        flow.send(answered(next(flow), body))


def test_azure_is_asked_for_a_token_that_opens_registries_alone(token: str) -> None:
    """By workload identity, and in exchange for a refresh token of the registry."""
    environment = {
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "../tenant",
        "AZURE_FEDERATED_TOKEN_FILE": token,
        "AZURE_AUTHORITY_HOST": "https://login.partner.microsoftonline.cn/",
    }
    flow = azure.identify(environment)
    request = next(flow)
    assert str(request.url) == "https://login.partner.microsoftonline.cn/..%2Ftenant/oauth2/v2.0/token"
    assert fields(request) == {
        "client_id": "client",
        "scope": "https://containerregistry.azure.net/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "header.claims.signature",
        "grant_type": "client_credentials",
    }
    assert ended(flow, answered(request, {"access_token": "access", "expires_in": "86399"})) == Lease("access", 86_399)
    given = azure.obtain("example.azurecr.io", {"AZURE_TENANT_ID": "tenant"}, "access")
    request = next(given)
    assert fields(request) == {
        "grant_type": "access_token",
        "service": "example.azurecr.io",
        "access_token": "access",
        "tenant": "tenant",
    }
    lease = ended(given, answered(request, {"refresh_token": "refresh"}))
    assert lease == Lease(Credential("00000000-0000-0000-0000-000000000000", "refresh"), 10_800.0)


def test_a_machine_with_several_identities_is_told_which() -> None:
    """By the variable that names the client."""
    request = next(azure.identify({"AZURE_CLIENT_ID": "client"}))
    assert request.url.params["client_id"] == "client"
    assert request.headers["metadata"] == "true"


@pytest.mark.parametrize(
    ("status", "content", "text", "transient"),
    [
        (400, b'{"__type":"com.amazonaws#UnrecognizedClientException","message":"hush"}',
         "status 400 (com.amazonaws#UnrecognizedClientException)", False),
        (403, b"<Error><Code>AccessDenied</Code><Message>hush</Message></Error>", "status 403 (AccessDenied)", False),
        (401, b'{"error":"invalid_client","error_description":"hush"}', "status 401 (invalid_client)", False),
        (401, b'{"error":"hush hush"}', "status 401", False),
        (429, b"", "status 429", True),
        (503, b"hush", "status 503", True),
        (307, b"hush", "status 307", False),
    ],
)  # fmt: skip
def test_refusals_are_told_by_status_and_code(status: int, content: bytes, text: str, transient: bool) -> None:
    """What else the answer says stays out of the log."""
    flow = azure.identify({})
    with pytest.raises(NoCredential) as problem:
        flow.send(answered(next(flow), content, status))
    assert str(problem.value) == f"169.254.169.254 answered with {text}"
    assert problem.value.transient is transient


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_token_file_that_can_t_be_read_is_no_credential(tmp_path: Path, content: bytes | None) -> None:
    """Missing, or no text."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoCredential, match="can't be read"):
        exchange.read(str(path))


def test_an_empty_variable_counts_as_none() -> None:
    """As in the SDKs."""
    empty: Mapping[str, str] = dict.fromkeys(
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_ROLE_ARN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        ),
        "",
    )
    assert next(aws.obtain(empty, NOW)).url.host == "169.254.169.254"
