"""Facts: named by what they are about, read back as they were written, and distrusted where they were not."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.facts.fact import Fact, Untrusted, changes, manifest, name_of, read, storable, whole
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reference import Reference
from rightarch.registry import pull_scope

DIGEST = "sha256:" + "1" * 64
NGINX = ("", "docker.io/library/nginx:1.27")
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")

words = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
platforms = st.one_of(
    st.sampled_from([AMD64, ARM64, Platform("linux", "arm", "v7"), Platform("windows", "amd64", "", "10.0.17763.1")]),
    st.builds(Platform.of, words, words, words | st.just(""), st.from_regex(r"[0-9.]{0,20}", fullmatch=True)),
).filter(lambda platform: platform.known)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
scopes = st.one_of(
    st.sampled_from(["", "cluster"]),
    st.builds(
        pull_scope, words, st.lists(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True), max_size=4)
    ),
)
names = st.from_regex(r"([a-z0-9]{1,8}\.example(:[0-9]{2,4})?/)?[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """Any fact that may be learnt."""
    digest = draw(digests)
    suffix = draw(st.sampled_from(["", ":1.27", f"@{digest}"]))
    reference = Reference.parse(draw(names) + suffix)
    indexed = draw(st.booleans())
    several = draw(st.sets(platforms, max_size=6) if indexed else st.sets(platforms, min_size=1, max_size=1))
    return Fact(
        (draw(scopes), reference.canonical),
        ImagePlatforms(digest, tuple(sorted(several)), indexed),
        reference.host,
        draw(st.integers(1_600_000_000, 2_000_000_000)),
        draw(st.dates(date(2020, 1, 1), date(2100, 1, 1))),
        draw(st.sampled_from([None, "RateLimited", "ImageNotFound", "SomethingNew"])),
    )


@given(facts())
def test_a_fact_is_read_back_as_it_was_written(fact: Fact) -> None:
    """All of it, and platforms in one form only."""
    assert storable(fact.key, fact.image)
    assert read(manifest(fact)) == fact


@given(facts(), facts())
def test_the_changes_make_one_fact_of_another(old: Fact, new: Fact) -> None:
    """As the API server applies a merge patch; no more is sent than differs."""
    new = Fact(old.key, new.image, new.source, new.learned_at, new.last_used, new.last_failure)
    stored = manifest(old)
    for change in (changes(old, new), changes(new, new), whole(new)):
        merged = stored["status"] | change.get("status", {})
        stored["status"] = {key: value for key, value in merged.items() if value is not None}
        assert stored["status"] == manifest(new)["status"]
    assert changes(new, new) == {}


def test_a_name_is_made_of_scope_and_reference() -> None:
    """The exact form is what other tools may rely on."""
    for scope, spelt in [
        ("", b"Anonymous"),
        ("cluster", b"Cluster"),
        ("team-a/", b"Namespace/team-a/"),
        ("team-a/hub,quay", b"Namespace/team-a/hub,quay"),
    ]:
        expected = hashlib.sha256(spelt + b"\ndocker.io/library/nginx:1.27").hexdigest()[:40]
        assert name_of((scope, NGINX[1])) == expected


def test_a_scope_is_said_in_parts() -> None:
    """As people look for them: by namespace, or by the name of a pull secret."""
    image = ImagePlatforms(DIGEST, (AMD64,), indexed=False)
    told = {}
    for scope in ("", "cluster", "team-a/", pull_scope("team-a", ["quay", "hub", "quay"])):
        told[scope] = manifest(Fact((scope, NGINX[1]), image, "registry.example", 0, date(2026, 1, 1)))["spec"]
        del told[scope]["reference"]
    assert told == {
        "": {"scope": "Anonymous"},
        "cluster": {"scope": "Cluster"},
        "team-a/": {"scope": "Namespace", "namespace": "team-a"},
        "team-a/hub,quay": {"scope": "Namespace", "namespace": "team-a", "pullSecrets": ["hub", "quay"]},
    }


@pytest.mark.parametrize(
    "scope", ["login", "a/b,b", "a/b,a", "A/b", "a/B", "a/b,", "a/" + ",".join(f"s{i}" for i in range(33)), "/"]
)
def test_other_scopes_are_not_kept(scope: str) -> None:
    """Of whoever runs a command, or what no pod can name, or more than an object holds, or not in the one order."""
    assert not storable((scope, NGINX[1]), ImagePlatforms(DIGEST, (AMD64,), indexed=False))


def test_only_what_changed_is_written() -> None:
    """A use is one field; the end of a failure removes one."""
    old = Fact(NGINX, ImagePlatforms(DIGEST, (AMD64,), indexed=False), "registry-1.docker.io", 0, date(2026, 1, 1), "X")
    new = Fact(NGINX, old.image, old.source, 0, date(2026, 1, 2))
    assert changes(old, new) == {"status": {"lastUsed": "2026-01-02", "lastFailure": None}}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ((), {}, "spec: Field required"),
        (("metadata", "name"), "0" * 40, "its name is not made from its scope and reference"),
        (("metadata",), None, "its name is not made from its scope and reference"),
        (("spec", "scope"), "Somebody", "spec.scope: Input should be 'Anonymous'"),
        (("spec", "scope"), "Namespace", "its name is not made from its scope and reference"),
        (("spec", "namespace"), "team-a", "its spec has parts that are those of another scope"),
        (("spec", "namespace"), "Team A", "spec.namespace: String should match pattern"),
        (("spec", "pullSecrets"), ["hub"], "its spec has parts that are those of another scope"),
        (("spec", "pullSecrets"), ["a/b"], "String should match pattern"),
        (("spec", "pullSecrets"), [], "spec.pullSecrets: Tuple should have at least 1 item"),
        (("spec", "reference"), "nginx", "spec.reference: String should match pattern"),
        (("spec", "reference"), "docker.io/library/nginx:" + "1" * 800, "spec.reference: String should have at most"),
        (("status", "digest"), "sha256:1", "status.digest: String should match pattern"),
        (("status", "digest"), "sha256:" + "1" * 96, "a sha256 digest has 64"),
        (("status", "platforms"), "linux/amd64", "status.platforms: Input should be a valid tuple"),
        (("status", "platforms"), ["linux/arm64", "linux/amd64"], "its platforms are not sorted"),
        (("status", "platforms"), ["linux/amd64", "linux/amd64"], "not distinct"),
        (("status", "platforms"), ["linux/x86_64"], "not a platform in its normal form"),
        (("status", "platforms"), ["unknown/unknown"], "not a platform in its normal form"),
        (("status", "platforms"), ["linux/a/b/c"], "String should match pattern"),
        (("status", "platforms"), ["linux/amd64"] * 129, "should have at most 128 items"),
        (("status", "indexed"), False, "a single manifest has one platform"),
        (("status", "learnedAt"), "2026-01-01T00:00:00", "status.learnedAt: Input should have timezone info"),
        (("status", "lastUsed"), "today", "status.lastUsed: Input should be a valid date"),
        (("status", "lastFailure"), "it failed", "status.lastFailure: String should match pattern"),
        (("status",), [], "status: Input should be a valid dictionary"),
    ],
)
def test_what_rightarch_would_not_have_written_is_not_trusted(
    path: tuple[str, ...], value: object, problem: str
) -> None:
    """Whoever has the right can write an object; it must not crash a replica, nor stand for another image."""
    image = ImagePlatforms(DIGEST, (AMD64, ARM64), indexed=True)
    thing = manifest(Fact(NGINX, image, "registry-1.docker.io", 0, date(2026, 1, 1)))
    if not path:
        thing = {}
    elif len(path) == 1:
        thing[path[0]] = value
    else:
        thing[path[0]][path[1]] = value
    found = read(thing)
    assert isinstance(found, Untrusted)
    assert problem in str(found)


def test_a_reference_must_be_canonical() -> None:
    """Two names for one image would be two facts, of which one is never found."""
    key = ("", "index.docker.io/library/nginx:1")
    thing = manifest(Fact(key, ImagePlatforms(DIGEST, (AMD64,), indexed=False), "x", 0, date(2026, 1, 1)))
    assert str(read(thing)) == "its reference is not canonical"


def test_a_digest_must_be_that_of_its_reference() -> None:
    """What has a digest in its name can't have come to be another."""
    key = ("", "docker.io/library/nginx@sha256:" + "2" * 64)
    thing = manifest(Fact(key, ImagePlatforms(DIGEST, (AMD64,), indexed=False), "x", 0, date(2026, 1, 1)))
    assert str(read(thing)) == "its digest is not that of its reference"


@pytest.mark.parametrize(
    "image",
    [
        ImagePlatforms(DIGEST, tuple(Platform("linux", f"a{i:03}") for i in range(129)), indexed=True),
        ImagePlatforms(DIGEST, (Platform("linux", "amd64", "", "any (thing)"),), indexed=False),
        ImagePlatforms(DIGEST, (Platform("linux", "amd64", "", "1" * 65),), indexed=False),
    ],
)
def test_what_no_object_can_hold_is_not_stored(image: ImagePlatforms) -> None:
    """Whoever makes an image can write anything; what is cut would not be the truth."""
    assert not storable(NGINX, image)


def test_other_scopes_are_not_stored() -> None:
    """What a credential revealed is nobody else's."""
    assert not storable(("team-a", NGINX[1]), ImagePlatforms(DIGEST, (AMD64,), indexed=False))
