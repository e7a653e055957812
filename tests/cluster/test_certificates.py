"""The webhook's certificate on a real API server: made, rotated, repaired, and never a pod refused for it."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rightarch.certificates import Held, Plan, issue
from rightarch.cluster import Cluster
from rightarch.controller.certificates import Certificates, Target
from tests.controlplane import CertificateAuthority, free_port, wait_for
from tests.support.balancer import Balancer
from tests.support.certificates import (
    SECRET,
    Site,
    encoded,
    fingerprint,
    fingerprint_of,
    review,
)
from tests.support.controller import ControllerServer
from tests.support.metrics import PLAIN
from tests.support.ticks import Ticks
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rightarch.certificates import Certificate
    from tests.controlplane import ControlPlane

LIFETIME = 30
UNHURRIED, SLOWED = 8, 0.1
"""Writes without a pause, and the first pause, in seconds; each one is twice as long as the one before."""
LOCAL = Plan(("127.0.0.1",), timedelta(days=90))
LOADED = 'rightarch_certificate_reloads_total{outcome="Loaded"}'
REFUSED = 'rightarch_certificate_reloads_total{outcome="Refused"}'
MISSING = 'rightarch_certificate_reloads_total{outcome="Missing"}'
EXPIRY = "rightarch_certificate_expiration_timestamp_seconds"
NUMBERS = itertools.count()
PAUSE = 0.02  # between two pods of a thread: a stream of them is the point, not a machine with nothing left to do


@pytest.fixture
def site(control_plane: ControlPlane) -> Iterator[Site]:
    """A namespace of the test's own; nothing else is there yet."""
    with control_plane.client() as api:
        made = Site(control_plane, api, f"certificates-{next(NUMBERS)}", free_port())
        made.make_namespace()
        yield made
        made.remove()


def webhook_of(site: Site, folder: Path | None = None) -> WebhookServer:
    """A webhook that serves from the site's Secret, where the site's API server expects it."""
    port = f"--port={site.port}"
    return WebhookServer(site.plane.kubeconfig, folder=folder, secret=(site.name, SECRET), options=[port])


def controller_of(site: Site, *options: str) -> ControllerServer:
    """A controller that keeps the site's certificate."""
    return ControllerServer(site.plane.kubeconfig, options=[*site.options, *options])


def good(site: Site) -> Held:
    """Make everything as it is after a first start, without a controller."""
    return laid_out(site, Held(issue(LOCAL, datetime.now(UTC))))


def laid_out(site: Site, held: Held) -> Held:
    """Make everything as it is once this is served and trusted."""
    site.make_secret(held)
    site.make_configuration()
    trust(site, held)
    return held


def trust(site: Site, held: Held) -> None:
    """Put what is served into the bundles."""
    assert held.current is not None
    value = encoded(held.current.authority)
    operations = [{"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": value} for index in (0, 1)]
    headers = {"Content-Type": "application/json-patch+json"}
    site.api.patch(site.configuration_path, content=json.dumps(operations), headers=headers).raise_for_status()


def write_secret(site: Site, **data: str) -> None:
    """Change keys of the Secret, by their names with underscores."""
    change = {"data": {key.replace("_", "."): encoded(text) for key, text in data.items()}}
    headers = {"Content-Type": "application/merge-patch+json"}
    site.api.patch(site.secret_path, content=json.dumps(change), headers=headers).raise_for_status()


def test_from_an_empty_secret_to_the_first_admission(site: Site, tmp_path: Path) -> None:
    """The webhook lives, but is not ready and refuses connections, until the controller has filled the Secret."""
    webhook = webhook_of(site, folder=tmp_path)
    webhook.process.start()
    try:
        health = wait_for(lambda: answered(f"{webhook.health}/healthz"))
        assert health == "ok\n"
        wait_for(lambda: answered(f"{webhook.health}/readyz") == "there is no certificate to serve yet\n")
        with pytest.raises(ConnectionRefusedError):
            site.handshake("")
        with controller_of(site) as controller:
            wait_for(lambda: f'\\"{site.name}\\" not found' in controller.log())
            site.make_configuration()
            site.make_secret()
            begun = time.monotonic()
            webhook.process.wait_ready()
            wait_for(lambda: site.create().is_success)
            print(f"from an empty Secret to the first admission: {time.monotonic() - begun:.2f} s")
            held = site.held()
            assert held.current is not None
            assert site.handshake(held.current.authority) == fingerprint_of(held.current.chain)
            assert len(set(site.bundles())) == 1
            data = site.api.get(site.secret_path).json()["data"]
            assert sorted(data) == ["ca.crt", "tls.crt", "tls.key"]
            expected = held.current.leaf.not_valid_after_utc.timestamp()
            assert webhook.metrics()[EXPIRY] == expected
            assert controller.metrics()[EXPIRY] == expected
            for log in (webhook.log(), controller.log()):
                assert "PRIVATE KEY" not in log
                assert data["tls.key"][:40] not in log
    finally:
        webhook.process.stop()


def answered(url: str) -> str | None:
    """The text at a URL, with whatever status; None while nobody listens."""
    try:
        return httpx.get(url, trust_env=False, verify=PLAIN, timeout=30).text
    except httpx.TransportError:
        return None


def test_rotations_under_load_refuse_no_pod(site: Site) -> None:
    """A lifetime of seconds, four certificates in turn, pods all the time, and a new connection every 50 ms."""
    site.make_secret()
    site.make_configuration()
    with controller_of(site, f"--certificate-lifetime={LIFETIME}"), webhook_of(site) as webhook:
        wait_for(lambda: site.create().is_success)
        before = site.failures()
        ended = threading.Event()
        with ThreadPoolExecutor(5) as pool, until(ended):
            creating = [pool.submit(created_until, site, ended) for _ in range(4)]
            connecting = pool.submit(served_until, site, ended)
            wait_for(lambda: webhook.metrics()[LOADED] >= 4 or failed(creating, connecting), seconds=4 * LIFETIME)
            time.sleep(LIFETIME / 3)  # the old authority leaves the bundle
        said = [text for each in creating for text in each.result()]
        served = connecting.result()
        print(f"{len(said)} pods and {len(served)} new connections over {len(set(served))} certificates")
        assert [text for text in said if text] == []
        assert site.failures() == before
        assert len(set(served)) >= 4
        assert webhook.metrics()[REFUSED] == 0


@contextmanager
def until(ended: threading.Event) -> Iterator[None]:
    """Tell threads to end, however the block does."""
    try:
        yield
    finally:
        ended.set()


def failed(creating: list[Any], connecting: Any) -> bool:  # noqa: ANN401 - futures
    """Whether a thread has ended before it was told to."""
    return any(each.done() for each in (*creating, connecting))


def created_until(site: Site, ended: threading.Event) -> list[str]:
    """Create pods; what was said to each that was refused, and nothing of the others."""
    said = []
    while not ended.is_set():
        response = site.create()
        said.append("" if response.is_success else response.text)
        time.sleep(PAUSE)
    return said


def served_until(site: Site, ended: threading.Event) -> list[str]:
    """Connect again and again, trusting by the bundle of that moment; the fingerprints of what was served."""
    served = []
    while not ended.is_set():
        served.append(served_to(site, site.bundles()[0]))
        time.sleep(0.05)
    return served


def served_to(site: Site, bundle: str) -> str:
    """The fingerprint of what is served to who trusts by the bundle, or by a newer one where it has changed."""
    try:
        return site.handshake(bundle)
    except ssl.SSLError:
        if (newer := site.bundles()[0]) == bundle:
            raise
        return served_to(site, newer)  # it was held for too long: the API server would have heard of the change


def test_a_wiped_bundle_is_filled_within_seconds(site: Site) -> None:
    """In each webhook; pods are refused only meanwhile."""
    site.make_secret()
    site.make_configuration()
    with controller_of(site), webhook_of(site):
        wait_for(lambda: site.create().is_success)
        before = site.bundles()
        with Ticks() as ticks:
            site.wipe()
            wait_for(lambda: site.bundles() == before)
            print(f"a wiped bundle was filled after {ticks.seconds:.2f} s")
            assert ticks.seconds < 5  # it is looked at each minute, whatever a watch tells
        wait_for(lambda: site.create().is_success)


def test_who_undoes_each_write_at_once_is_not_raced(site: Site) -> None:
    """Two who both insist would keep the API server busy: ours slows down, and heals in the end."""
    site.make_secret()
    site.make_configuration()
    begun = time.monotonic()
    with controller_of(site) as controller, webhook_of(site):
        wait_for(lambda: site.create().is_success)
        before, end = site.bundles(), time.monotonic() + 4
        wait_for(lambda: undone(site, controller) >= UNHURRIED and time.monotonic() > end, pause=0)
        writes, seconds = undone(site, controller), time.monotonic() - begun
        print(f"{writes:.0f} writes in {seconds:.1f} s, while somebody undid each")
        assert writes <= UNHURRIED + 1 + math.log2(seconds / SLOWED + 1)
        wait_for(lambda: site.bundles() == before)


def undone(site: Site, controller: ControllerServer) -> float:
    """Undo what a controller may have written; gives how often it has."""
    if any(site.bundles()):
        site.wipe()
    return controller.metrics()['rightarch_certificate_steps_total{step="Trust"}']


def test_what_somebody_else_keeps_is_not_touched(site: Site) -> None:
    """In the external mode neither the Secret nor the configuration is written."""
    good(site)
    paths = (site.secret_path, site.configuration_path)
    before = [site.api.get(path).json()["metadata"]["resourceVersion"] for path in paths]
    with controller_of(site, "--certificates=external") as controller:
        wait_for(lambda: controller.leads)
        site.wipe()
        after_wipe = site.api.get(site.configuration_path).json()["metadata"]["resourceVersion"]
        time.sleep(2)
        assert [site.api.get(path).json()["metadata"]["resourceVersion"] for path in paths] == [before[0], after_wipe]
        assert EXPIRY not in controller.metrics()


async def test_a_controller_that_dies_after_each_step_loses_nothing(site: Site) -> None:
    """Each step by a controller of its own: all that is known is in the cluster, and what is served stays trusted."""
    plan = Plan(("127.0.0.1",), timedelta(seconds=4 * LIFETIME))
    cluster = await Cluster.connect(site.plane.kubeconfig)
    target = Target(site.name, SECRET, site.name, plan)
    with serving_old(site, plan) as old:
        try:
            taken = [await step_and_die(cluster, target, site) for _ in range(3)]
            patient = Certificates(cluster, target)  # each death begins the wait for the API servers anew
            while await patient.step():
                time.sleep(0.2)  # noqa: ASYNC251 - nothing else runs
            taken += ["Hold"] if patient.steps["Hold"] else []
        finally:
            await cluster.aclose()
        assert taken == ["Issue", "Trust", None, "Hold"]
        current = site.held().current
        assert current is not None
        assert current != old
        wait_for(lambda: site.handshake(site.bundles()[0]) == fingerprint_of(current.chain))
        assert site.create().is_success


@contextmanager
def serving_old(site: Site, plan: Plan) -> Iterator[Certificate]:
    """Have a webhook serve a certificate that is due to be replaced, as soon as it is made: it does not last long."""
    webhook = webhook_of(site)
    with ExitStack() as stack:
        stack.push(webhook)
        webhook.process.start()
        wait_for(lambda: answered(f"{webhook.health}/healthz"))
        old = issue(plan, datetime.now(UTC) - 0.7 * plan.lifetime)
        laid_out(site, Held(old))
        webhook.process.wait_ready()
        wait_for(lambda: site.create().is_success)
        yield old


async def step_and_die(cluster: Cluster, target: Target, site: Site) -> str | None:
    """One step of a controller that knows nothing but what it reads; then a new connection and a pod."""
    certificates = Certificates(cluster, target)
    await certificates.step()
    site.handshake(site.bundles()[0])
    assert site.create().is_success
    return next((kind for kind, count in certificates.steps.items() if count), None)


async def test_a_leader_that_was_replaced_meanwhile_writes_nothing(site: Site) -> None:
    """Its write holds only for what it has read."""
    site.make_secret()
    site.make_configuration()
    cluster = await Cluster.connect(site.plane.kubeconfig)

    class Late(Cluster):
        """Somebody else is faster between reading and writing."""

        async def patch(self, path: str, form: Any, change: object) -> dict[str, Any]:  # noqa: ANN401
            write_secret(site, other="x")
            site.wipe()
            return await super().patch(path, form, change)

    target = Target(site.name, SECRET, site.name, LOCAL)
    late = await Late.connect(site.plane.kubeconfig)
    try:
        assert await Certificates(cluster, target).step() == 0
        assert await Certificates(cluster, target).step() == 0
        trusted = site.bundles()
        with pytest.raises(Exception, match="409"):
            await Certificates(late, target).step()
        with pytest.raises(Exception, match="422"):
            await Certificates(late, target).step()
    finally:
        await cluster.aclose()
        await late.aclose()
    assert site.held().current is None
    assert trusted != site.bundles()


BROKEN: dict[str, Callable[[Held, Held], dict[str, str]]] = {
    "no PEM": lambda _, __: {"tls_crt": "none", "tls_key": "none"},
    "another's key": lambda _, other: {"tls_key": other.current.key if other.current else ""},
    "half of a certificate": lambda own, _: {"tls_crt": own.current.chain[:200] if own.current else ""},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_secret_is_refused_and_the_old_certificate_stays(
    site: Site, broken: Callable[[Held, Held], dict[str, str]]
) -> None:
    """Logged, counted, without a word of the key; a good one is taken again."""
    held = good(site)
    assert held.current is not None
    other = Held(issue(LOCAL, datetime.now(UTC)))
    assert other.current is not None
    with webhook_of(site) as webhook:
        wait_for(lambda: site.create().is_success)
        write_secret(site, **broken(held, other))
        wait_for(lambda: webhook.metrics()[REFUSED] == 1)
        assert site.handshake(held.current.authority) == fingerprint_of(held.current.chain)
        assert site.create().is_success
        assert "no certificate chain with its own key" in webhook.log()
        write_secret(site, tls_crt=other.current.chain, tls_key=other.current.key)
        wait_for(lambda: webhook.metrics()[LOADED] == 2)
        assert site.handshake(other.current.authority) == fingerprint_of(other.current.chain)
        assert "PRIVATE" not in webhook.log()


def test_an_emptied_secret_leaves_the_webhook_as_it_is(site: Site) -> None:
    """The certificate in memory is served on."""
    held = good(site)
    assert held.current is not None
    with webhook_of(site) as webhook:
        wait_for(lambda: site.create().is_success)
        write_secret(site, tls_crt="", tls_key="")
        wait_for(lambda: webhook.metrics()[MISSING] == 1)
        assert site.create().is_success


def test_open_connections_stay_when_the_certificate_changes(site: Site) -> None:
    """Only new ones meet the new certificate."""
    held, other = good(site), issue(LOCAL, datetime.now(UTC))
    assert held.current is not None
    with webhook_of(site) as webhook, site.connect(held.current.authority) as connection:
        assert review(connection)["allowed"] is True
        write_secret(site, tls_crt=other.chain, tls_key=other.key)
        wait_for(lambda: webhook.metrics()[LOADED] == 2)
        assert review(connection)["allowed"] is True
        assert fingerprint(connection) == fingerprint_of(held.current.chain)
        assert site.handshake(other.authority) == fingerprint_of(other.chain)


def test_files_that_change_are_read_again(site: Site, tmp_path: Path) -> None:
    """As a volume's do; what can't be served is refused."""
    authority = CertificateAuthority(tmp_path / "other")
    with WebhookServer(site.plane.kubeconfig, options=[f"--port={site.port}"]) as webhook:
        first = site.handshake(webhook.ca.read_text())
        webhook.certificate.write_text("none")
        wait_for(lambda: webhook.metrics()[REFUSED] == 1)
        assert site.handshake(webhook.ca.read_text()) == first
        certificate, key = authority.issue("other")
        webhook.key.write_bytes(key.read_bytes())
        webhook.certificate.write_bytes(certificate.read_bytes())
        wait_for(lambda: webhook.metrics()[LOADED] == 2)
        assert site.handshake(authority.certificate.read_text()) == fingerprint_of(certificate.read_text())


def test_an_expired_certificate_is_replaced_at_the_first_look(site: Site) -> None:
    """A controller that was away for too long finds pods refused, and ends that."""
    laid_out(site, Held(issue(LOCAL, datetime.now(UTC) - timedelta(days=91))))
    with webhook_of(site):
        wait_for(lambda: site.create().status_code == 500)
        with pytest.raises(ssl.SSLError):
            site.handshake(site.bundles()[0])
        with controller_of(site):
            wait_for(lambda: site.create().is_success)


def test_replicas_that_are_replaced_one_after_another_refuse_no_pod(control_plane: ControlPlane) -> None:
    """A rollout: each replica is told to end, drains, ends, and starts again; pods are created all the time."""
    with control_plane.client() as api:
        secret, options = ("certificates-rollout", SECRET), ["--drain-seconds=60"]
        replicas = [WebhookServer(control_plane.kubeconfig, secret=secret, options=options) for _ in range(2)]
        own = Site(control_plane, api, "certificates-rollout", 0)
        own.make_namespace()
        own.make_secret(Held(issue(LOCAL, datetime.now(UTC))))
        with replicas[0], replicas[1], Balancer(replicas) as balancer:
            site = Site(control_plane, api, own.name, balancer.port)
            site.make_configuration()
            try:
                trust(site, site.held())
                wait_for(lambda: site.create().is_success)
                roll_under_load(site, replicas, balancer)
            finally:
                site.remove()


def is_left_alone(balancer: Balancer, replica: WebhookServer) -> bool:
    """Whether no new connection goes to a replica."""
    return replica.port not in balancer.ready


def roll_under_load(site: Site, replicas: list[WebhookServer], balancer: Balancer) -> None:
    """Replace each replica twice while pods are created.

    Each drains until nobody is led to it any more, as the seconds of a cluster must be enough for, and then a little.
    """
    before, ended = site.failures(), threading.Event()
    with ThreadPoolExecutor(8) as pool, until(ended):
        creating = [pool.submit(created_until, site, ended) for _ in range(8)]
        for replica in replicas * 2:
            wait_for(lambda: balancer.ready == {each.port for each in replicas})
            time.sleep(0.5)
            os.kill(replica.process.pid, signal.SIGTERM)
            wait_for(partial(is_left_alone, balancer, replica))
            time.sleep(2)
            replica.process.stop(60)  # a second signal ends the draining
            assert replica.process.exit_status == 0
            replica.process.start()
            replica.process.wait_ready()
    said = [text for each in creating for text in each.result()]
    print(f"{len(said)} pods while replicas were replaced four times")
    assert [text for text in said if text] == []
    assert site.failures() == before
