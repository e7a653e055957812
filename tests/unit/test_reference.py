"""References parse as the kubelet and containerd parse them, or say where they are wrong."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.errors import InvalidReference
from rightarch.reasons import Reason
from rightarch.reference import Reference, check_digest

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA512 = f"sha512:{HEX * 2}"

VALID = [
    # text, its parts (domain, path, tag, digest), canonical form
    ("nginx", "docker.io", "library/nginx", "latest", None, "docker.io/library/nginx:latest"),
    ("nginx:1.27", "docker.io", "library/nginx", "1.27", None, "docker.io/library/nginx:1.27"),
    ("bitnami/redis", "docker.io", "bitnami/redis", "latest", None, "docker.io/bitnami/redis:latest"),
    ("docker.io/nginx", "docker.io", "library/nginx", "latest", None, "docker.io/library/nginx:latest"),
    ("index.docker.io/nginx:a", "docker.io", "library/nginx", "a", None, "docker.io/library/nginx:a"),
    ("docker.io/a/b/c", "docker.io", "a/b/c", "latest", None, "docker.io/a/b/c:latest"),
    ("ghcr.io/a/b:v1", "ghcr.io", "a/b", "v1", None, "ghcr.io/a/b:v1"),
    ("localhost/app", "localhost", "app", "latest", None, "localhost/app:latest"),
    ("localhost:5000", "docker.io", "library/localhost", "5000", None, "docker.io/library/localhost:5000"),
    ("localhost:5000/app:2", "localhost:5000", "app", "2", None, "localhost:5000/app:2"),
    ("host:443/a", "host:443", "a", "latest", None, "host:443/a:latest"),
    ("[::1]:5000/a:b", "[::1]:5000", "a", "b", None, "[::1]:5000/a:b"),
    ("[2001:DB8::1]/a", "[2001:DB8::1]", "a", "latest", None, "[2001:DB8::1]/a:latest"),
    ("Registry/app", "Registry", "app", "latest", None, "Registry/app:latest"),
    ("10.0.0.1/app", "10.0.0.1", "app", "latest", None, "10.0.0.1/app:latest"),
    ("xn--n3h.com/app", "xn--n3h.com", "app", "latest", None, "xn--n3h.com/app:latest"),
    ("a__b/c---d.e_f", "docker.io", "a__b/c---d.e_f", "latest", None, "docker.io/a__b/c---d.e_f:latest"),
    ("app:_A.b-C", "docker.io", "library/app", "_A.b-C", None, "docker.io/library/app:_A.b-C"),
    ("app:" + "x" * 128, "docker.io", "library/app", "x" * 128, None, "docker.io/library/app:" + "x" * 128),
    (f"app@{SHA256}", "docker.io", "library/app", None, SHA256, f"docker.io/library/app@{SHA256}"),
    (f"app:1@{SHA256}", "docker.io", "library/app", "1", SHA256, f"docker.io/library/app@{SHA256}"),
    (f"a.b/c@{SHA512}", "a.b", "c", None, SHA512, f"a.b/c@{SHA512}"),
    ("a/" + "b" * 253, "docker.io", "a/" + "b" * 253, "latest", None, f"docker.io/a/{'b' * 253}:latest"),
    ("192.168.0.1:80", "docker.io", "library/192.168.0.1", "80", None, "docker.io/library/192.168.0.1:80"),
    ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", None, "docker.io/library/foo_bar.com:8080"),
    ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", None, "docker.io/foo/foo_bar.com:8080"),
    ("test_com/foo", "docker.io", "test_com/foo", "latest", None, "docker.io/test_com/foo:latest"),
    ("docker.io/library/foo/bar", "docker.io", "library/foo/bar", "latest", None, "docker.io/library/foo/bar:latest"),
    ("DOCKER/docker", "DOCKER", "docker", "latest", None, "DOCKER/docker:latest"),
    (f"test:5000/repo:tag@{SHA256}", "test:5000", "repo", "tag", SHA256, f"test:5000/repo@{SHA256}"),
    ("xn--n3h.com/my:xn--n3h.com", "xn--n3h.com", "my", "xn--n3h.com", None, "xn--n3h.com/my:xn--n3h.com"),
    ("[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo", "latest", None, "[2001:db8::]:5000/repo:latest"),
    (f"docker.io/{HEX}", "docker.io", f"library/{HEX}", "latest", None, f"docker.io/library/{HEX}:latest"),
    ("a/" * 127 + "a:tag", "docker.io", "a/" * 127 + "a", "tag", None, f"docker.io/{'a/' * 127}a:tag"),
    (HEX[:-1], "docker.io", f"library/{HEX[:-1]}", "latest", None, f"docker.io/library/{HEX[:-1]}:latest"),
]

INVALID = [
    # text, position of the first character that can't be right, a word of the problem
    ("", 0, "empty"),
    (HEX, 0, "image ID"),
    (":tag", 0, "repository"),
    ("@sha256:abc", 1, "64"),
    ("Nginx", 0, "lower case"),
    ("a/Nginx", 2, "lower case"),
    ("nginx:", 6, "tag"),
    ("nginx:-a", 6, "tag"),
    ("nginx:" + "x" * 129, 6, "128"),
    ("nginx:lat\n", 6, "tag"),
    ("nginx\n", 5, "repository"),
    ("nginx:läst", 6, "tag"),
    ("nginx:\u0661", 6, "tag"),
    ("a b", 1, "repository"),
    (" nginx", 0, "repository"),
    ("nginx ", 5, "repository"),
    ("a//b", 2, "repository"),
    ("/a", 0, "repository"),
    ("a/", 2, "repository"),
    ("a___b", 3, "repository"),
    ("a..b", 2, "repository"),
    ("-a.com/b", 0, "host"),
    ("a.com:x/b", 6, "host"),
    ("a.com:5.x/b", 7, "host"),
    ("a-.com/b", 2, "host"),
    ("a..com/b", 2, "host"),
    ("a_b.com/c", 1, "host"),
    ("a---/b", 4, "repository"),
    ("[::g]/a", 0, "host"),
    ("https://ghcr.io/a", 6, "host"),
    ("a.com/b:1:2", 7, "repository"),
    ("nginx@sha256", 6, "ALGORITHM:HEX"),
    (f"nginx@md5:{HEX}", 6, "algorithm"),
    (f"nginx@sha256:{HEX.upper()}", 6, "lower-case"),
    (f"nginx@sha256:{HEX}0", 6, "64"),
    (f"nginx@sha512:{HEX}", 6, "128"),
    (f"nginx@{SHA256}@{SHA256}", 6, "64"),
    ("[fc00::1]", 7, "tag"),
    ("[fc00::1]:5000", 0, "repository"),
    ("fc00::1:5000/debian", 5, "host"),
    ("[fe80::1%eth0]:5000/debian", 0, "host"),
    ("[2001:db8:3:4::192.0.2.33]:5000/debian", 0, "host"),
    ("____/____", 0, "repository"),
    ("_docker/_docker", 0, "repository"),
    ("dock-.er/docker", 5, "host"),
    ("dock_.er/docker", 4, "host"),
    ("docker-/docker", 7, "repository"),
    ("aa/asdf$$^/aa", 7, "repository"),
    ("docker.io/docker///docker", 17, "repository"),
    ("test:5000/Uppercase/lowercase:tag", 10, "lower case"),
    ("a/" * 128 + "a:tag", 0, "255"),
    ("a/" + "b" * 254, 0, "255"),
    ("b" * 248, 0, "255"),
]


@pytest.mark.parametrize("row", VALID)
def test_valid_references(row: tuple[str, str, str, str | None, str | None, str]) -> None:
    """Each is read into its parts, and has one canonical form, in which a digest leaves the tag out."""
    text, domain, path, tag, digest, canonical = row
    reference = Reference.parse(text)
    assert reference == Reference(domain, path, tag, digest)
    assert reference.canonical == canonical


@pytest.mark.parametrize(("text", "position", "word"), INVALID)
def test_invalid_references(text: str, position: int, word: str) -> None:
    """Each is refused with the place of the mistake and what is wrong there."""
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert caught.value.position == position
    assert word in caught.value.problem
    assert caught.value.reason is Reason.INVALID_REFERENCE
    assert not caught.value.transient


def test_the_mistake_is_pointed_at() -> None:
    """In a terminal, a caret stands under the character that can't be right."""
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("ghcr.io/Team/app")
    assert caught.value.pointed() == "ghcr.io/Team/app\n        ^ a repository is written in lower case"


def test_an_error_survives_pickling() -> None:
    """Errors can be copied between processes with all that they say."""
    error = InvalidReference("A", 0, "wrong")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.text, copy.position, copy.problem, str(copy)) == ("A", 0, "wrong", str(error))


def test_hosts() -> None:
    """Docker Hub is contacted at its registry's host, all others at the one that is named."""
    assert Reference.parse("nginx").host == "registry-1.docker.io"
    assert Reference.parse("localhost:5000/nginx").host == "localhost:5000"


def test_what_a_registry_is_asked_for() -> None:
    """With a tag and a digest, the digest decides."""
    assert Reference.parse("nginx:1").identifier == "1"
    assert Reference.parse(f"nginx:1@{SHA256}").identifier == SHA256
    assert str(Reference.parse(f"nginx:1@{SHA256}")) == f"docker.io/library/nginx:1@{SHA256}"


@pytest.mark.parametrize("text", [SHA256, SHA512, "sha384:" + HEX + HEX[:32]])
def test_digests(text: str) -> None:
    """The three algorithms that the OCI specifications register are accepted."""
    assert check_digest(text) is None


ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
DOMAIN_PARTS = st.from_regex(r"\A(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,5}[a-zA-Z0-9])\Z")
PORTS = st.integers(0, 99999).map(lambda port: f":{port}")
DOMAINS = st.builds("{}.{}{}".format, DOMAIN_PARTS, DOMAIN_PARTS, st.one_of(st.just(""), PORTS)) | st.sampled_from(
    ["localhost", "localhost:5000", "[::1]", "[fe80::1]:443"]
)
COMPONENTS = st.from_regex(r"\A[a-z0-9]{1,4}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,4}){0,3}\Z")
PATHS = st.lists(COMPONENTS, min_size=1, max_size=5).map("/".join)
TAGS = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")
DIGESTS = st.sampled_from([SHA256, SHA512])
ODD = st.text(alphabet="aZ0._-/:@[]\n é" + "sh", max_size=40)


@given(DOMAINS, PATHS, st.none() | TAGS, st.none() | DIGESTS)
def test_whatever_the_grammar_allows_parses(domain: str, path: str, tag: str | None, digest: str | None) -> None:
    """A name put together by the specification's grammar comes apart into the same pieces."""
    text = f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    expected = tag if tag or digest else "latest"
    assert Reference.parse(text) == Reference(domain, path, expected, digest)


@given(DOMAINS.map(lambda domain: domain + "/") | st.just(""), PATHS, st.none() | TAGS, st.none() | DIGESTS)
def test_the_canonical_form_is_a_fixed_point(domain: str, path: str, tag: str | None, digest: str | None) -> None:
    """Reading what was written changes nothing more."""
    text = f"{domain}{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    try:
        once = Reference.parse(text)
    except InvalidReference:  # a path that begins like a domain and is none, such as a__b.c/d
        assert not domain
        return
    assert Reference.parse(str(once)) == once
    assert Reference.parse(once.canonical).canonical == once.canonical


@given(ODD)
def test_nonsense_is_refused_with_a_place_in_it(text: str) -> None:
    """Whatever the text, it is a reference or an InvalidReference that points into it."""
    try:
        once = Reference.parse(text)
    except InvalidReference as error:
        position = error.position
    else:
        assert Reference.parse(str(once)) == once
        position = 0
    assert 0 <= position <= len(text)
