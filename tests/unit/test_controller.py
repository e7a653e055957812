"""The controller's own parts without a cluster: lists against watches, the Lease's rules, what counts as misplaced."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from rightarch.controller.census import is_misplaced
from rightarch.controller.election import Seen
from rightarch.controller.events import Event, Events
from rightarch.controller.lists import LAG_SECONDS, Lists, WatchesBlind
from rightarch.controller.managers import Owed, is_applied
from rightarch.controller.queue import Within
from rightarch.controller.templates import Templates
from rightarch.controller.watching import kopf_settings
from rightarch.controller.workloads import DAEMON_SET, KINDS, Key, Puller, Wanted, Workload, Workloads
from rightarch.placement import Decision
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Kind, Policy
from rightarch.reasons import Reason
from rightarch.rulebook import Rulebook
from rightarch.template import Standing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rightarch.cluster import Cluster
    from rightarch.controller.desk import Desk
    from rightarch.keychains import Keychains
    from rightarch.registry import Registry
    from rightarch.snapshot import Nodes

DEPLOYMENT = KINDS[0]
BOTH = ImagePlatforms("sha256:0", (Platform("linux", "amd64"), Platform("linux", "arm64")), indexed=True)
ARM64 = ImagePlatforms("sha256:1", (Platform("linux", "arm64"),), indexed=False)


def deployment(name: str, *images: str) -> dict[str, Any]:
    """A Deployment with a container per image."""
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def key(name: str) -> Key:
    """The key of a Deployment."""
    return Key("Deployment", "shop", name)


PULLER = Puller("shop", "default")


class Pages:
    """An API server as far as lists need one: a real one can't be made to hide changes from its watches.

    Attributes:
        objects: the Deployments that there are.
        meanwhile: called after the first page was read.
    """

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)
        self.meanwhile: Callable[[], None] = lambda: None

    async def pages(self, path: str) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        """Read a collection in pages of one object."""
        if path == DEPLOYMENT.path:
            for each in list(self.objects):
                yield [each], "7"
                self.meanwhile()


class Followed:
    """Workloads with the lists that are compared with them."""

    def __init__(self, pages: Pages) -> None:
        self.now = 0.0
        self.workloads = Workloads()
        self.lists = Lists(cast("Cluster", pages), self.workloads, self.take, clock=lambda: self.now)

    def take(self, name: Key, workload: Workload | None) -> None:
        """Take what a list found."""
        if workload is None:
            self.workloads.remove(name)
        else:
            self.workloads.put(name, workload)

    def tell(self, thing: dict[str, Any]) -> None:
        """Take what a watch told."""
        name = Key.of(DEPLOYMENT, thing)
        self.lists.told(name)
        self.take(name, Workload.of(DEPLOYMENT, thing))


async def test_a_list_heals_what_the_watch_missed() -> None:
    """What is new, what has changed, and what is gone."""
    pages = Pages(deployment("new", "a"), deployment("changed", "b2"))
    followed = Followed(pages)
    for thing in (deployment("changed", "b1"), deployment("gone", "c")):
        followed.tell(thing)
    await followed.lists.take()
    assert followed.workloads.keys(DEPLOYMENT) == {key("new"), key("changed")}
    assert {each.image for each in followed.workloads.wanted} == {"a", "b2"}
    assert followed.lists.missed == 3


async def test_watches_that_never_tell_what_a_list_found_are_blind() -> None:
    """A list says so that comes later than any watch would tell; what was told meanwhile is forgiven."""
    followed = Followed(Pages(deployment("one", "a"), deployment("two", "b")))
    await followed.lists.take()
    followed.tell(deployment("one", "a"))
    await followed.lists.take()
    followed.now += LAG_SECONDS + 1
    with pytest.raises(WatchesBlind, match="Deployment shop/two"):
        await followed.lists.take()
    followed.tell(deployment("two", "b"))
    await followed.lists.take()
    assert followed.lists.missed == 2


async def test_what_is_told_during_a_list_is_newer_than_the_list() -> None:
    """A later page may show an object as it was when the list began."""
    pages = Pages(deployment("first", "a"), deployment("second", "old"))
    followed = Followed(pages)
    followed.tell(deployment("first", "a"))
    followed.tell(deployment("second", "old"))
    pages.meanwhile = lambda: followed.tell(deployment("second", "new"))
    await followed.lists.take()
    assert {each.image for each in followed.workloads.wanted} == {"a", "new"}
    assert followed.lists.missed == 0


class Drawer:
    """A desk with one Deployment, about which nothing is left to do."""

    ready = True

    def __init__(self) -> None:
        self.decided = 0

    async def read(self, _: Key) -> dict[str, Any]:
        """The Deployment."""
        return deployment("one", "a")

    async def repay(self, *_: object) -> bool:
        """Nothing is owed."""
        return True

    async def decide(self, *_: object) -> Decision:
        """Its image is not known."""
        self.decided += 1
        return Decision(Reason.UNRESOLVED, "")


async def test_nothing_is_reconciled_before_all_workloads_were_seen() -> None:
    """Those may still be rolling that an earlier leader wrote: they count, too."""
    rulebook, lists, desk = Rulebook(), Followed(Pages(deployment("one", "a"))).lists, Drawer()
    rulebook.namespaces.replace([{"metadata": {"name": "shop"}}])
    spec = {"templates": [{"kinds": ["Deployment"], "when": "Reconcile"}]}
    rulebook.shelves[Kind.CLUSTER].replace([Policy.of(Kind.CLUSTER, {"metadata": {"name": "fleet"}, "spec": spec})])
    rulebook.shelves[Kind.NAMESPACED].replace([])
    templates = Templates(
        cast("Desk", desk),
        cast("Registry", None),
        cast("Keychains", None),
        cast("Nodes", None),
        rulebook,
        cast("Events", None),
        free=lambda _: None,
        listed=lambda: lists.taken,
    )
    assert (await templates.settle(key("one")), desk.decided) == (Within(1.0, 1.0), 0)
    await lists.take()
    await templates.settle(key("one"))
    assert desk.decided == 1


def test_an_image_is_there_as_long_as_a_workload_has_it() -> None:
    """They share images, and each keeps only names."""
    workloads = Workloads()
    assert workloads.put(key("a"), Workload(("x", "y")))
    assert workloads.put(key("b"), Workload(("y",)))
    assert not workloads.put(key("b"), Workload(("y",)))
    workloads.remove(key("a"))
    assert (set(workloads.wanted), workloads.wants(Wanted("x")), workloads.wants(Wanted("y"))) == (
        {Wanted("y")},
        False,
        True,
    )
    assert workloads.put(key("b"), Workload(("z",)))
    workloads.remove(key("b"))
    workloads.remove(key("b"))
    assert (set(workloads.wanted), len(workloads)) == (set(), 0)


def test_an_image_is_wanted_by_each_who_pulls_it() -> None:
    """Credentials are those of a namespace and its pull secrets; a template that names none has its account's."""

    def template(**spec: object) -> dict[str, Any]:
        return {"metadata": {"namespace": "shop"}, "spec": {"template": {"spec": {"containers": [], **spec}}}}

    secrets = {"imagePullSecrets": [{"name": "b"}, {}, {"name": "a"}, {"name": "b"}]}
    cases: list[tuple[dict[str, Any], Puller]] = [
        ({}, Puller("shop", "default")),
        ({"serviceAccountName": "builder"}, Puller("shop", "builder")),
        ({"serviceAccount": "older"}, Puller("shop", "older")),
        (secrets, Puller("shop", "", ("b", "a"))),
        ({"serviceAccountName": "builder", **secrets}, Puller("shop", "", ("b", "a"))),
    ]
    for spec, puller in cases:
        assert Workload.of(DAEMON_SET, template(**spec)).puller == puller
    pod = {"metadata": {"namespace": "shop"}, "spec": {"serviceAccountName": "builder", "containers": []}}
    assert Puller.of_pod(pod) == Puller("shop")
    workloads = Workloads()
    workloads.put(key("a"), Workload(("x",), puller=Puller("shop", "default")))
    workloads.put(key("b"), Workload(("x",), puller=Puller("shop", "", ("a",))))
    assert len(workloads.wanted) == 2
    workloads.remove(key("b"))
    assert set(workloads.wanted) == {Wanted("x", Puller("shop", "default"))}


def test_templates_are_where_each_kind_has_them() -> None:
    """A CronJob's is two levels down; an object without one has no images."""
    pod = {"spec": {"initContainers": [{"image": "init"}], "containers": [{"image": "app"}, {"image": "app"}]}}
    wrapped = {"spec": {"template": pod}}
    by_name = {kind.name: kind for kind in KINDS}
    cron_job = {"metadata": {"namespace": "shop"}, "spec": {"jobTemplate": wrapped}}
    assert Workload.of(by_name["CronJob"], cron_job) == Workload(("init", "app"), puller=PULLER)
    assert Workload.of(by_name["StatefulSet"], {"metadata": {"namespace": "shop"}, **wrapped}) == Workload(
        ("init", "app"), puller=PULLER
    )
    assert Workload.of(DAEMON_SET, {"metadata": {"namespace": "shop"}, **wrapped}) == Workload(
        ("init", "app"), Standing.UNSEEN, PULLER
    )
    assert Workload.of(by_name["CronJob"], {"metadata": {"namespace": "shop"}, "spec": {}}) == Workload(
        (), puller=PULLER
    )


@pytest.mark.parametrize(
    ("spec", "now", "held"),
    [
        ({"holderIdentity": "other", "leaseDurationSeconds": 15}, 14.9, True),
        ({"holderIdentity": "other", "leaseDurationSeconds": 15}, 15.0, False),
        ({"holderIdentity": "other"}, 14.9, True),
        ({"holderIdentity": "other", "leaseDurationSeconds": 60}, 59.0, True),
        ({"holderIdentity": "me", "leaseDurationSeconds": 15}, 1.0, False),
        ({"holderIdentity": "", "leaseDurationSeconds": 1}, 0.0, False),
        ({}, 0.0, False),
        (None, 0.0, False),
    ],
)
def test_who_holds_the_lease(spec: dict[str, Any] | None, now: float, held: bool) -> None:
    """Somebody else does until it was seen unchanged for as long as it lasts; one given back is nobody's."""
    assert Seen({"spec": spec}, 0.0).held_by_other("me", now) is held


@pytest.mark.parametrize(
    ("platform", "images", "misplaced"),
    [
        (("linux", "arm64"), [ARM64], False),
        (("linux", "amd64"), [ARM64], True),
        (("linux", "amd64"), [BOTH, ARM64], True),
        (("linux", "amd64"), [BOTH], False),
        (("windows", "amd64"), [BOTH], True),
        (("linux", "amd64"), [], False),
    ],
)
def test_misplaced_is_where_a_known_image_does_not_run(
    platform: tuple[str, str], images: list[ImagePlatforms], misplaced: bool
) -> None:
    """What is not known proves nothing."""
    assert is_misplaced(platform, images) is misplaced


def entry(manager: str, field: str, **more: str) -> dict[str, Any]:
    """What the API server's books say of one manager."""
    return {"manager": manager, "operation": "Update", "fieldsV1": {field: {}}, **more}


def owned(*entries: dict[str, Any], uid: str = "1") -> dict[str, Any]:
    """An object whose fields are owned."""
    return {"metadata": {"uid": uid, "managedFields": list(entries)}}


HELM, LESS, OTHER = (entry("helm", field, operation="Apply") for field in ("f:both", "f:one", "f:other"))
OURS = entry("us", "f:both")
STATUS, LATER = (entry("controller", field, subresource="status") for field in ("f:old", "f:new"))


@pytest.mark.parametrize(
    ("now", "repaid"),
    [
        (owned(LESS, STATUS, OURS), [HELM, STATUS]),
        (owned(LESS, LATER, OURS), [HELM, LATER]),
        (owned(LESS, STATUS, OURS, entry("kubectl", "f:label")), [HELM, STATUS, entry("kubectl", "f:label")]),
        (owned(OTHER, OURS), [OTHER]),
        (owned(HELM, STATUS), None),
        (owned(LESS, STATUS, OURS, uid="2"), None),
        (owned(), None),
    ],
)
def test_what_our_write_took_is_given_back_and_what_others_did_since_is_theirs(
    now: dict[str, Any], repaid: list[dict[str, Any]] | None
) -> None:
    """The status changes at once; the object may be another of the same name by now."""
    owed = Owed(owned(HELM, STATUS), owned(LESS, STATUS, OURS))
    assert owed.repayment(now) == repaid
    assert is_applied(owed.before)
    assert not is_applied(owned(OURS))
    assert not is_applied({"metadata": {}})


@pytest.mark.parametrize("name", ["a" * 199 + "-agent", "a" * 199 + ".agent", "a" * 198 + "-.agent", "agent"])
async def test_an_event_has_a_name_that_is_allowed(name: str) -> None:
    """Each part of it begins and ends with a letter or digit, wherever the name of the object is cut."""
    cluster = Posted()
    metadata = {"namespace": "shop", "name": name, "uid": "1"}
    events = Events(cast("Cluster", cluster), "me")
    await events.tell(DAEMON_SET, {"metadata": metadata}, Event("Do", "Because", "x"))
    writing = asyncio.create_task(events.run())
    posted = await cluster.taken.get()
    writing.cancel()
    part = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert re.fullmatch(rf"{part}(\.{part})*", posted["metadata"]["name"])


class Posted:
    """A cluster that takes what is created."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def create(self, _: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Take an object."""
        self.taken.put_nowait(thing)
        return thing


def test_a_watch_that_dies_without_a_word_is_noticed() -> None:
    """By itself, kopf would wait for as long as TCP does."""
    watching = kopf_settings().watching
    assert (watching.server_timeout, watching.client_timeout) == (270, 285)
