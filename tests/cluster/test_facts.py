"""What is learnt of images outlives processes, and is shared by replicas: on the real API server and registry."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from rightarch.facts.fact import name_of
from rightarch.facts.writer import SETTLE_SECONDS
from tests.controlplane import CertificateAuthority, ControlPlane, wait_for
from tests.images import RegistryServer, attested, single
from tests.support.asking import admit
from tests.support.facts import COLLECTION, CRD, DEFINITION, object_of
from tests.support.metrics import PLAIN
from tests.support.ticks import Ticks
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.images import Image

BOTH = ["linux/amd64", "linux/arm64"]
PER_POD = 4
DAY = 3
"""Seconds in which the last use of an image is written once, where that is shortened."""
PATIENCE = 15
"""Seconds: a replica that can't list what it watches is not ready any sooner."""


@dataclass
class World:
    """A cluster with the definition, and a registry."""

    plane: ControlPlane
    registry: RegistryServer
    ca: Path

    @contextlib.contextmanager
    def webhook(self, *options: str) -> Iterator[WebhookServer]:
        """A replica; it is asked directly, as the API server would."""
        with WebhookServer(self.plane.kubeconfig, registry_ca=self.ca, options=options) as running:
            yield running

    def push(self, name: str, image: Image) -> str:
        """Push an image under a new name; gives its reference."""
        repository, _, tag = name.partition(":")
        self.registry.push(repository, tag, image)
        self.registry.forget()
        return f"{self.registry.host}/{name}"

    def fact(self, reference: str) -> dict[str, Any] | None:
        """The object about an image, if there is one."""
        with self.plane.client() as client:
            response = client.get(f"{COLLECTION}/{name_of(('', reference))}")
        return response.json() if response.is_success else None

    def written(self, reference: str) -> dict[str, Any]:
        """The object about an image, once there is one."""
        return wait_for(lambda: self.fact(reference)) or {}

    def asked(self) -> list[str]:
        """The methods of the requests to the registry for manifests and blobs."""
        return [request.method for request in self.registry.requests() if request.path != "/v2/"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Who signs the registry's certificate."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def registry(authority: CertificateAuthority) -> Iterator[RegistryServer]:
    """A registry of its own, so that what it is asked can be counted."""
    with RegistryServer(authority=authority) as running:
        yield running


@pytest.fixture(scope="module")
def world(registry: RegistryServer, authority: CertificateAuthority) -> Iterator[World]:
    """A control plane of its own, for its API server is restarted."""
    with ControlPlane(kwok=False) as plane:
        define(plane)
        yield World(plane, registry, authority.certificate)


def settled(webhook: WebhookServer) -> None:
    """Wait until a replica has no look-up in flight and nothing to write."""
    wait_for(lambda: unsettled(webhook) == 0)


def unsettled(webhook: WebhookServer) -> float:
    """How many look-ups are in flight, and facts are to be written."""
    metrics = webhook.metrics()
    return metrics["rightarch_lookups_in_flight"] + metrics["rightarch_image_facts_pending"]


def writes(webhook: WebhookServer) -> dict[str, float]:
    """How many facts a replica wrote, by kind."""
    prefix = 'rightarch_image_facts_writes_total{kind="'
    found = {name: value for name, value in webhook.metrics().items() if name.startswith(prefix)}
    return {name.removeprefix(prefix).removesuffix('"}'): value for name, value in found.items()}


def test_a_look_up_is_written_once_as_people_read_it(world: World) -> None:
    """And never again for being used: the day's use stands in it already."""
    reference = world.push("app/web:1", attested(*BOTH, salt="web"))
    days = {today()}
    with world.webhook() as webhook:
        assert admit(webhook, reference)
        fact = world.written(reference)
        for _ in range(3):
            assert admit(webhook, reference)
        settled(webhook)
        assert writes(webhook) == {"created": 1}
    assert fact["spec"] == {"scope": "Anonymous", "reference": reference}
    status = fact["status"]
    assert (status["platforms"], status["indexed"], status["source"]) == (BOTH, True, world.registry.host)
    assert {status["lastUsed"], status["learnedAt"][:10]} <= days | {today()}
    assert "lastFailure" not in status
    table = world.plane.kubectl("get", "imgp").splitlines()
    assert table[0].split() == ["NAME", "REFERENCE", "PLATFORMS", "SCOPE", "LAST", "USED", "FAILURE", "AGE"]
    row = next(line.split() for line in table if reference in line)
    assert row[1:5] == [reference, '["linux/amd64","linux/arm64"]', "Anonymous", status["lastUsed"]]


def test_a_restart_of_everything_asks_nobody_for_what_is_known(world: World) -> None:
    """No request inside admission, no GET: neither a fresh tag nor a digest costs any request at all."""
    image = attested(*BOTH, salt="restart")
    tag = world.push("app/restart:1", image)
    digest = f"{world.registry.host}/app/restart@{image.digest}"
    with world.webhook() as webhook:
        assert admit(webhook, tag, digest)
        world.written(tag)
        world.written(digest)
    world.plane.restart("kube-apiserver")
    world.registry.forget()
    with world.webhook() as webhook:
        assert admit(webhook, tag, digest)
        settled(webhook)
        assert world.asked() == []


def test_a_tag_past_its_time_costs_one_head_in_each_process(world: World) -> None:
    """In the background, while the answer is there; and what is confirmed is not written."""
    image = single("linux/arm64", "old")
    reference = world.push("app/old:1", image)
    learnt(world, reference, image.digest, ["linux/arm64"], hours_ago=48)
    with world.webhook() as first, world.webhook() as second:
        for webhook in (first, second):
            assert admit(webhook, reference)
            assert admit(webhook, reference)
            settled(webhook)
            assert admit(webhook, reference)
        assert world.asked() == ["HEAD", "HEAD"]
        assert writes(first) == writes(second) == {}


def test_what_one_replica_learns_the_other_knows(world: World) -> None:
    """By the watch: new images, images that change, and images that somebody wants forgotten."""
    reference = world.push("app/shared:1", single("linux/amd64", "shared"))
    with world.webhook() as first, world.webhook() as second:
        held = second.metrics()["rightarch_image_facts"]
        assert admit(first, reference)
        wait_for(lambda: second.metrics()["rightarch_image_facts"] == held + 1)
        world.registry.process.pause()
        try:
            assert admit(second, reference)
        finally:
            world.registry.process.resume()
        assert second.metrics().get('rightarch_lookups_total{outcome="Found"}', 0.0) == 0
        world.plane.kubectl("delete", "imgp", name_of(("", reference)))
        wait_for(lambda: second.metrics()["rightarch_image_facts"] == held)
        world.registry.forget()
        assert admit(second, reference)
        assert world.asked()[0] == "GET"


def test_the_watch_goes_on_after_the_api_server_was_away(world: World) -> None:
    """Resumed where it ended, or listed again: what was written meanwhile by others is seen."""
    reference = world.push("app/away:1", single("linux/amd64", "away"))
    with world.webhook() as webhook:
        held = webhook.metrics()["rightarch_image_facts"]
        with world.plane.without("kube-apiserver"):
            assert admit(webhook, reference)  # nothing waits for the API server
            wait_for(lambda: webhook.metrics()['rightarch_image_facts_write_failures_total{status="error"}'] >= 1)
        wait_for(lambda: webhook.metrics()["rightarch_image_facts"] == held + 1)
        world.written(reference)
        other = world.push("app/other:1", single("linux/amd64", "other"))
        learnt(world, other, single("linux/amd64", "other").digest, ["linux/amd64"], hours_ago=0)
        wait_for(lambda: webhook.metrics()["rightarch_image_facts"] == held + 2)


def test_a_dry_run_writes_nothing(world: World) -> None:
    """Not what it looked up, and not that it used it; a pod that is really created is another matter."""
    reference = world.push("app/dry:1", single("linux/amd64", "dry"))
    with world.webhook() as webhook:
        assert admit(webhook, reference, dry_run=True)
        assert admit(webhook, reference, dry_run=True)
        settled(webhook)
        assert writes(webhook) == {}
        assert world.fact(reference) is None
        assert admit(webhook, reference)
        world.written(reference)
        settled(webhook)
        assert writes(webhook) == {"created": 1}


def test_failures_are_written_for_what_was_read_before_and_for_nothing_else(world: World) -> None:
    """The class of the failure, once; what was learnt stays."""
    image = single("linux/amd64", "gone")
    reference = world.push("app/gone:1", image)
    learnt(world, reference, image.digest, ["linux/amd64"], hours_ago=1)
    never = f"{world.registry.host}/app/never:1"
    world.registry.delete("app/gone", image.digest)
    with world.webhook() as webhook:
        assert admit(webhook, reference)  # known; the registry is asked in the background, and has it no more
        assert not admit(webhook, never)
        fact = wait_for(lambda: failing(world, reference)) or {}
        settled(webhook)
        assert not admit(webhook, reference)
        settled(webhook)
        assert writes(webhook) == {"changed": 1}
    assert fact["status"]["lastFailure"] == "ImageNotFound"
    assert fact["status"]["digest"] == image.digest
    assert world.fact(never) is None
    world.push("app/gone:1", image)
    with world.webhook() as webhook:
        assert admit(webhook, reference)
        wait_for(lambda: not failing(world, reference))


def test_a_tag_that_moved_is_written(world: World) -> None:
    """With the new digest and platforms, by whoever noticed."""
    old, new = single("linux/amd64", "moved"), attested(*BOTH, salt="moved")
    reference = world.push("app/moved:1", new)
    learnt(world, reference, old.digest, ["linux/amd64"], hours_ago=1)
    with world.webhook() as webhook:
        assert admit(webhook, reference)
        wait_for(lambda: world.written(reference)["status"]["digest"] == new.digest)
        status = world.written(reference)["status"]
        assert (status["platforms"], status["indexed"]) == (BOTH, True)
        settled(webhook)
        assert writes(webhook) == {"changed": 1}


def test_the_last_use_is_written_once_a_day_by_any_replica(world: World) -> None:
    """Two replicas use the same images all the time, in days of three seconds: each image is written once a day."""
    references = [world.push(f"use/{index}:1", single("linux/amd64", f"use-{index}")) for index in range(PER_POD)]
    with world.webhook(f"--facts-day={DAY}") as first, world.webhook(f"--facts-day={DAY}") as second:
        assert admit(first, *references)
        for reference in references:
            world.written(reference)
        # again where the machine stalled: replicas whose moment comes while they see nothing of each other all write
        assert any(once_a_day(first, second, references) for _ in range(3))


def once_a_day(first: WebhookServer, second: WebhookServer, references: list[str]) -> bool:
    """Use images in both replicas for three of their days; whether each use was written, and once a day."""
    before, begun = used(first, second), time.monotonic()
    while time.monotonic() < begun + 3 * DAY:
        assert admit(first, *references)
        assert admit(second, *references)
        time.sleep(0.1)
    days = (time.monotonic() - begun) / DAY
    return PER_POD <= used(first, second) - before <= PER_POD * (days + 1)


def used(*replicas: WebhookServer) -> float:
    """How many uses replicas have written."""
    return sum(writes(webhook).get("used", 0.0) for webhook in replicas)


def test_objects_that_rightarch_would_not_have_written_are_passed_over(world: World) -> None:
    """Counted, and told once: a name that does not fit is a forgery or a mistake."""
    forged = object_of("docker.io/library/nginx:1", "sha256:" + "1" * 64, ["linux/amd64"], 0)
    forged["metadata"]["name"] = "f" * 40
    with standing(world, forged), world.webhook() as webhook:
        wait_for(lambda: webhook.metrics()["rightarch_image_facts_untrusted"] == 1)
        assert webhook.log().count("passed over") == 1


@contextlib.contextmanager
def standing(world: World, forged: dict[str, Any]) -> Iterator[None]:
    """Have an object stand in the cluster for the length of a ``with`` block; it may be gone before its end."""
    world.plane.apply(forged)
    try:
        yield
    finally:
        world.plane.kubectl("delete", "imgp", forged["metadata"]["name"], "--ignore-not-found")


def test_an_object_that_stands_in_the_way_is_neither_written_nor_asked_for_again(world: World) -> None:
    """Its name is one image's and its spec another's: refused once, left alone from then on, until it is gone."""
    reference = world.push("app/taken:1", single("linux/amd64", "taken"))
    forged = object_of("docker.io/library/nginx:1", "sha256:" + "1" * 64, ["linux/arm64"])
    forged["metadata"]["name"] = name_of(("", reference))
    with standing(world, forged), world.webhook() as webhook:
        before = world.written(reference)
        for _ in range(4):
            assert admit(webhook, reference)
            settled(webhook)
            time.sleep(SETTLE_SECONDS)
        assert writes(webhook) == {}
        assert webhook.metrics()['rightarch_image_facts_write_failures_total{status="422"}'] == 1
        assert world.written(reference) == before
        world.plane.kubectl("delete", "imgp", name_of(("", reference)))
        wait_for(lambda: webhook.metrics()["rightarch_image_facts_untrusted"] == 0)
        assert admit(webhook, reference)
        assert world.written(reference)["spec"]["reference"] == reference


def test_without_the_definition_everything_else_works(world: World) -> None:
    """Ready at once, one warning; and once it is there, what was learnt meanwhile is written."""
    reference = world.push("app/alone:1", single("linux/amd64", "alone"))
    with undefined(world), starting(world) as webhook:
        assert admit(webhook, reference)
        assert admit(webhook, reference)
        wait_for(lambda: webhook.metrics()['rightarch_image_facts_write_failures_total{status="404"}'] >= 1)
        assert webhook.metrics()["rightarch_image_facts_listed"] == 0
        time.sleep(16)
        log = webhook.log()
        lost = [line for line in log.splitlines() if "lost sight of a collection" in line]
        assert sum("imageplatforms" in line for line in lost) == 1
        assert log.count("could not write an ImagePlatforms") == 1
        define(world.plane)
        wait_for(lambda: webhook.metrics()["rightarch_image_facts_listed"] == 1)
        assert world.written(reference)["spec"]["reference"] == reference


@contextlib.contextmanager
def undefined(world: World) -> Iterator[None]:
    """Have no definition of facts, and no facts, for the length of a ``with`` block, or until it is defined."""
    world.plane.undefine(CRD)
    try:
        yield
    finally:
        define(world.plane)


def define(plane: ControlPlane) -> None:
    """Have the definition of facts, and wait until it is served."""
    plane.kubectl("apply", "-f", "-", input=DEFINITION)
    plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")


@contextlib.contextmanager
def starting(world: World, kubeconfig: Path | None = None) -> Iterator[WebhookServer]:
    """A replica, which is ready before its patience with what it can't list has an end."""
    webhook = WebhookServer(kubeconfig or world.plane.kubeconfig, registry_ca=world.ca)
    with contextlib.ExitStack() as stack, Ticks() as ticks:
        stack.push(webhook)
        webhook.process.start()
        wait_for(lambda: is_alive(webhook))
        begun = ticks.seconds
        webhook.process.wait_ready()
        assert ticks.seconds - begun < PATIENCE
        yield webhook


def is_alive(webhook: WebhookServer) -> bool:
    """Whether a replica answers, ready or not."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{webhook.health}/healthz", trust_env=False, verify=PLAIN).is_success
    return False


def test_without_the_right_to_it_everything_else_works(world: World, tmp_path: Path) -> None:
    """An account that may follow the Nodes and nothing else: ready at once, one warning for each thing refused."""
    reference = world.push("app/denied:1", single("linux/amd64", "denied"))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(limited(world.plane)))
    with starting(world, kubeconfig) as webhook:
        assert admit(webhook, reference)
        wait_for(lambda: webhook.metrics()['rightarch_image_facts_write_failures_total{status="403"}'] >= 1)
        wait_for(lambda: len(refusals(webhook)) > 1)
        lost = refusals(webhook)
        assert len(lost) == len(set(lost))
        assert sum("imageplatforms" in path for path in lost) == 1
        assert webhook.log().count("could not write an ImagePlatforms") == 1
    assert world.fact(reference) is None


def refusals(webhook: WebhookServer) -> list[str]:
    """The collections that a replica told it can't see."""
    lost = (line for line in webhook.log().splitlines() if "lost sight of a collection" in line)
    return [line.partition("path=")[2].split()[0] for line in lost]


def limited(plane: ControlPlane) -> dict[str, Any]:
    """A kubeconfig of an account that may list and watch Nodes."""
    plane.kubectl("create", "serviceaccount", "limited")
    plane.kubectl("create", "clusterrole", "limited", "--verb=list,watch", "--resource=nodes")
    plane.kubectl(
        "create", "clusterrolebinding", "limited", "--clusterrole=limited", "--serviceaccount=default:limited"
    )
    config: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": plane.kubectl("create", "token", "limited").strip()}
    return config


def failing(world: World, reference: str) -> dict[str, Any] | None:
    """The object about an image, if it tells of a failure."""
    fact = world.fact(reference)
    return fact if fact and "lastFailure" in fact["status"] else None


def learnt(world: World, reference: str, digest: str, platforms: list[str], hours_ago: float) -> None:
    """Another replica learnt of an image, some time ago."""
    world.plane.apply(object_of(reference, digest, platforms, hours_ago))


def today() -> str:
    """The day, as facts name it; it may end in the middle of a test."""
    return time.strftime("%Y-%m-%d", time.gmtime())
