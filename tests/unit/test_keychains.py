"""Keychains of pods: whose credentials are tried in which order, and what is read of the cluster for it."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from rightarch.cluster import ClusterError
from rightarch.errors import UnresolvedImage
from rightarch.keychains import Keychains
from rightarch.reference import Reference
from rightarch.registry import ANONYMOUS, CLUSTER, Credential, InMemoryKeychain, Keys, links
from rightarch.settings import ControllerSettings

if TYPE_CHECKING:
    from collections.abc import Collection

    from rightarch.cluster import Cluster

IMAGE = Reference.parse("registry.example/app:1")
IDENTITY = InMemoryKeychain(CLUSTER, {"registry.example": [Credential("identity", "i")]})
ALICE = Credential("alice", "a")
CLOUD_IMAGES = {
    "ecr": Reference.parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1"),
    "gar": Reference.parse("europe-docker.pkg.dev/project/repository/app:1"),
    "acr": Reference.parse("team.azurecr.io/app:1"),
}


class Objects:
    """An API server as far as keychains need one: a real one can't be made to fail for one object alone.

    Attributes:
        objects: by their paths; an error in the place of one is raised.
        read_: the paths that were read.
    """

    def __init__(self, **secrets: object) -> None:
        base = "/api/v1/namespaces/team/secrets"
        self.objects: dict[str, object] = {f"{base}/{name}": each for name, each in secrets.items()}
        self.read_: list[str] = []

    async def read(self, path: str) -> dict[str, Any]:
        """The object, after a moment."""
        self.read_.append(path.rpartition("/")[2])
        await asyncio.sleep(0.01)
        found = self.objects.get(path, ClusterError(404, "there is none"))
        if isinstance(found, Exception):
            raise found
        return cast("dict[str, Any]", found)


def secret(key: str = "registry.example", user: str = "alice", password: str = "a") -> dict[str, Any]:  # noqa: S107
    """A pull secret."""
    content = json.dumps({"auths": {key: {"username": user, "password": password}}})
    return {
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": b64encode(content.encode()).decode()},
    }


def keychains(
    objects: Objects | None = None, namespaces: Collection[str] = ("*",), *, identity: bool = False, shared: bool = True
) -> Keychains:
    """Those of a cluster with these objects."""
    own = [IDENTITY] if identity else []
    return Keychains(cast("Cluster", objects or Objects()), namespaces, own, shared=shared)


def pod(*names: str, **spec: object) -> dict[str, Any]:
    """A pod with these pull secrets."""
    return {"metadata": {}, "spec": {"imagePullSecrets": [{"name": name} for name in names], **spec}}


def scopes(keys: Keys, image: Reference = IMAGE) -> list[str]:
    """Whose answers are given, in order."""
    return [link.scope for link in links(keys, image)]


@pytest.mark.parametrize(
    ("names", "identity", "shared", "expected"),
    [
        ((), False, True, [ANONYMOUS]),
        ((), True, True, [CLUSTER, ANONYMOUS]),
        ((), True, False, ["team/", ANONYMOUS]),
        (("b", "a"), False, True, ["team/a,b", ANONYMOUS]),
        (("b", "a"), True, True, ["team/a,b", CLUSTER, ANONYMOUS]),
        (("b", "a"), True, False, ["team/a,b", "team/a,b", ANONYMOUS]),
        (("../x", "A", "a/b", ""), False, True, [ANONYMOUS]),
        (("../x", "a"), False, True, ["team/a", ANONYMOUS]),
    ],
)
def test_a_pods_own_secrets_come_first_and_nobody_last(
    names: tuple[str, ...], identity: bool, shared: bool, expected: list[str]
) -> None:
    """Between them Rightarch's own identity, for all or for each namespace; names of no Secret are passed over."""
    assert scopes(keychains(identity=identity, shared=shared).of_pod("team", pod(*names))) == expected


@pytest.mark.parametrize(
    ("clouds", "mine"),
    [
        (None, {"ecr", "gar", "acr"}),
        ("ecr,gar,acr", {"ecr", "gar", "acr"}),
        ("acr", {"acr"}),
        ("gar,ecr", {"gar", "ecr"}),
        ("none", set()),
    ],
)
@pytest.mark.parametrize("shared", ["cluster", "namespace"])
async def test_clouds_that_are_on_serve_the_images_of_their_registries(
    clouds: str | None, mine: Collection[str], shared: str
) -> None:
    """All clouds, unless the settings say otherwise. Other images, and their look-ups, are in everybody's scope."""
    given = {"namespace": "rightarch", "identity_scope": shared} | ({"cloud_credentials": clouds} if clouds else {})
    own = CLUSTER if shared == "cluster" else "team/"
    async with aclosing(Keychains.of(ControllerSettings.load(given), cast("Cluster", Objects()))) as made:
        for cloud, image in CLOUD_IMAGES.items():
            expected = [own, ANONYMOUS] if cloud in mine else [ANONYMOUS]
            assert scopes(made.of_pod("team", pod()), image) == expected
        assert scopes(made.of_pod("team", pod())) == [ANONYMOUS]
        assert scopes(made.of_pod("team", pod("a"))) == ["team/a", ANONYMOUS]


@pytest.mark.parametrize(
    ("namespaces", "expected"), [(["team"], "team/a"), (["other"], ""), ([], ""), (["*"], "team/a")]
)
def test_secrets_are_those_of_namespaces_that_may_be_read(namespaces: list[str], expected: str) -> None:
    """Elsewhere a pod is like one without."""
    assert scopes(keychains(namespaces=namespaces).of_pod("team", pod("a")))[0] == expected


def test_no_more_secrets_are_considered_than_anybody_needs() -> None:
    """A pod may name thousands."""
    scope = scopes(keychains().of_pod("team", pod(*(f"s{index}" for index in range(1000)))))[0]
    assert scope.count(",") == 31


@pytest.mark.parametrize("scope", [CLUSTER, "team/", "team/a", "team/a,b"])
def test_a_scope_has_its_keychains_again(scope: str) -> None:
    """Those by which its answers were found."""
    for identity in (True, False):
        found = scopes(keychains(identity=identity, shared=scope != "team/").of_scope(scope))
        assert found[0] == (scope if identity or scope not in {CLUSTER, "team/"} else ANONYMOUS)


async def test_the_secrets_of_a_pod_are_matched_together() -> None:
    """The longest key first, whichever Secret has it; what can't be used is left out."""
    objects = Objects(
        wide=secret("*.example", "wide"),
        narrow=secret("registry.example/app", "narrow"),
        damaged={"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30"}},
        forbidden=ClusterError(403, "no"),
        opaque={"type": "Opaque", "data": {".dockerconfigjson": "e30="}},
    )
    keys = keychains(objects).of_pod("team", pod("damaged", "wide", "forbidden", "narrow", "missing", "opaque"))
    assert [each.username for each in await links(keys, IMAGE)[0].credentials(IMAGE)] == ["narrow", "wide"]


@pytest.mark.parametrize(
    "error", [ClusterError(500, "etcd"), ClusterError(429, "later"), TimeoutError(), OSError("gone")]
)
async def test_a_secret_that_can_not_be_read_now_is_no_answer(error: Exception) -> None:
    """Nobody knows what it would have given."""
    keys = keychains(Objects(a=secret(), failing=error)).of_pod("team", pod("a", "failing"))
    with pytest.raises(UnresolvedImage, match="a pull secret of the pod can't be read now"):
        await links(keys, IMAGE)[0].credentials(IMAGE)


async def test_a_secret_is_read_once_at_a_time_and_never_kept() -> None:
    """Many images of one pod ask for it at once; the next pod's look-up reads it anew."""
    objects = Objects(a=secret())
    found = keychains(objects)
    link = links(found.of_pod("team", pod("a")), IMAGE)[0]
    assert await asyncio.gather(*(link.credentials(IMAGE) for _ in range(50))) == [[ALICE]] * 50
    assert objects.read_ == ["a"]
    objects.objects["/api/v1/namespaces/team/secrets/a"] = secret(password="changed")  # noqa: S106 - of the tests
    assert await link.credentials(IMAGE) == [Credential("alice", "changed")]
    waiting = [asyncio.create_task(_credentials(found)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert await waiting[1] == ["alice"]


async def test_a_templates_account_is_read_where_it_makes_a_difference() -> None:
    """Not where the template names secrets, all is known, or none may be read; nor by a name that is a path."""
    objects = Objects()
    account = {"imagePullSecrets": [{"name": "b"}, {"name": "a"}]}
    objects.objects["/api/v1/namespaces/team/serviceaccounts/builder"] = account
    found, template = keychains(objects), pod(serviceAccountName="builder")
    assert scopes(await found.of_template("team", template, lambda _: False)) == ["team/a,b", ANONYMOUS]
    assert objects.read_ == ["builder"]
    assert scopes(await found.of_template("team", template, lambda _: True)) == [ANONYMOUS]
    assert (
        scopes(await found.of_template("team", pod("c", serviceAccountName="builder"), lambda _: False))[0] == "team/c"
    )
    forbidden = keychains(objects, [])
    assert scopes(await forbidden.of_template("team", template, lambda _: False)) == [ANONYMOUS]
    path = pod(serviceAccountName="../serviceaccounts/builder")
    assert scopes(await found.of_template("team", path, lambda _: False)) == [ANONYMOUS]
    assert objects.read_ == ["builder"]


@pytest.mark.parametrize("error", [ClusterError(403, "no"), ClusterError(500, "etcd"), OSError("gone"), None])
async def test_an_account_that_can_not_be_read_gives_no_secrets(error: Exception | None) -> None:
    """An admission goes on without. Whoever has the time is told where it can't be read now, and tries again."""
    objects = Objects()
    if error:
        objects.objects["/api/v1/namespaces/team/serviceaccounts/default"] = error
    assert scopes(await keychains(objects).of_template("team", pod(), lambda _: False)) == [ANONYMOUS]
    assert objects.read_ == ["default"]
    if error is None or (isinstance(error, ClusterError) and error.status == 403):
        assert scopes(await keychains(objects).of_account("team", "default", (), lambda _: False)) == [ANONYMOUS]
    else:
        with pytest.raises(UnresolvedImage, match="the pods' ServiceAccount can't be read now"):
            await keychains(objects).of_account("team", "default", (), lambda _: False)


async def _credentials(found: Keychains) -> list[str]:
    link = links(found.of_pod("team", pod("a")), IMAGE)[0]
    return [each.username for each in await link.credentials(IMAGE)]
