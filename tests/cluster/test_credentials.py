"""Private images: read with the pull secrets that pods name, for those pods alone, and without leaving a trace."""

from __future__ import annotations

import contextlib
import json
import stat
import time
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from rightarch.facts.fact import name_of
from rightarch.registry import CLUSTER, pull_scope
from tests.controlplane import CertificateAuthority, ControlPlane, Resources, fake_node, wait_for
from tests.images import RegistryServer, TokenServer, single
from tests.support.controller import ControllerServer, workloads_configuration
from tests.support.facts import COLLECTION, CRD, DEFINITION, object_of
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx

Object = dict[str, Any]

DECISION = "rightarch.dev/decision"
PASSWORDS = {"alice": "password-of-alice-2f7c", "bob": "password-of-bob-91d0"}
READERS = frozenset({"alice"})
REPOSITORY = "private/app"
UNASKED = "/api/v1/namespaces/kube-system/pods"
"""Pods of whose creation no webhook is told."""
ARM64 = [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}]


@dataclass
class World:
    """A cluster whose API server writes down who reads Secrets, a registry with private images, and a webhook."""

    plane: ControlPlane
    api: httpx.Client
    registry: RegistryServer
    tokens: TokenServer
    ca: Path
    audit: Path
    webhook: WebhookServer
    logs: list[Path] = field(default_factory=list)

    @contextlib.contextmanager
    def asked(self, *options: str) -> Iterator[WebhookServer]:
        """Another replica, which knows nothing of its own and is asked in place of the other."""
        with WebhookServer(self.plane.kubeconfig, registry_ca=self.ca, options=options, log_level="debug") as webhook:
            try:
                self.register(webhook)
                yield webhook
            finally:
                self.logs.append(self._kept(webhook.process.log))
                self.register(self.webhook)

    @contextlib.contextmanager
    def controller(self, *options: str) -> Iterator[ControllerServer]:
        """A controller that leads."""
        quickly = ["--list-interval=1", *options]
        with ControllerServer(
            self.plane.kubeconfig, registry_ca=self.ca, options=quickly, log_level="debug"
        ) as controller:
            try:
                wait_for(lambda: controller.leads)
                yield controller
            finally:
                self.logs.append(self._kept(controller.process.log))

    def push(self, tag: str, repository: str = REPOSITORY) -> str:
        """Push an image for arm64; gives its name. By the host's name, which the token service has too."""
        self.registry.push(repository, tag, single("linux/arm64", f"{repository}-{tag}"))
        return f"localhost:{self.registry.port}/{repository}:{tag}"

    def namespace(self, name: str) -> str:
        """Make a namespace, with its default ServiceAccount."""
        self.plane.kubectl("create", "namespace", name)
        self.await_account(name)
        return name

    def await_account(self, namespace: str) -> None:
        """Wait until a namespace has its default ServiceAccount, without which there can be no pods."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        wait_for(lambda: self.api.get(path).is_success)

    def secret(self, namespace: str, name: str, user: str, *, legacy: bool = False) -> None:
        """Make or change a user's pull secret."""
        auths = {f"localhost:{self.registry.port}": {"auth": encoded(f"{user}:{PASSWORDS[user]}")}}
        kind, content = ("dockercfg", auths) if legacy else ("dockerconfigjson", {"auths": auths})
        metadata = {"name": name, "namespace": namespace}
        data = {f".{kind}": encoded(json.dumps(content))}
        item = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": f"kubernetes.io/{kind}",
            "data": data,
        }
        self.plane.apply(item)

    def create(self, namespace: str, image: str, *secrets: str, **more: object) -> str:
        """Create a pod, and another if the registry was too slow to be heard in its admission; gives the Reason."""
        reason = wait_for(lambda: self._in_time(namespace, image, *secrets, **more))
        assert reason
        return reason

    def _in_time(self, namespace: str, image: str, *secrets: str, **more: object) -> str | None:
        """The Reason of a pod that is created; None where its image was not known in time."""
        names = {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
        spec = {"containers": [{"name": "main", "image": image}], **names, **more}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": spec}
        stored = self.api.post(f"/api/v1/namespaces/{namespace}/pods", json=item).raise_for_status().json()
        reason: str = stored["metadata"]["labels"][DECISION]
        assert (terms(stored["spec"]) == ARM64) == (reason == "Constrained")
        return None if reason == "TimedOut" else reason

    def fact(self, scope: str, image: str) -> Object | None:
        """The object about an image in a scope, if there is one."""
        response = self.api.get(f"{COLLECTION}/{name_of((scope, image))}")
        return response.json() if response.is_success else None

    def reads(self, *namespaces: str, mark: int = 0) -> list[str]:
        """What Rightarch read of Secrets and ServiceAccounts of some namespaces: verb and name."""
        lines = self.audit.read_text().rpartition("\n")[0].splitlines()  # without one that is not written to its end
        events = (json.loads(line) for line in lines)
        ours = (event for event in events if event.get("userAgent", "").startswith("rightarch/"))
        read = [(event["verb"], event["objectRef"]) for event in ours]
        asked = [(verb, thing) for verb, thing in read if thing.get("namespace") in {None, *namespaces}]
        return [f"{verb} {thing['resource']} {thing.get('name')}" for verb, thing in asked][mark:]

    def wait_seen(self) -> None:
        """Wait until the webhook has as many facts as the cluster, which gets none meanwhile."""
        wait_for(self._is_seen)

    def _is_seen(self) -> bool:
        before, metrics = stored(self), self.webhook.metrics()
        seen = metrics["rightarch_image_facts"] + metrics["rightarch_image_facts_untrusted"]
        return seen == len(before) and stored(self) == before

    def _kept(self, log: Path) -> Path:
        kept = self.audit.parent / f"log-{len(self.logs)}"
        kept.write_bytes(log.read_bytes())
        return kept

    def register(self, webhook: WebhookServer) -> None:
        """Have the API server ask a replica, and wait until it does."""
        self.plane.apply(webhook.configuration(), workloads_configuration(webhook))
        wait_for(lambda: self._asks(webhook))

    def _asks(self, webhook: WebhookServer) -> bool:
        """Whether the API server asks a replica now."""

        def asked() -> float:
            return sum(value for name, value in webhook.metrics().items() if "admissions_total" in name)

        before = asked()
        spec = {"containers": [{"name": "probe", "image": "INVALID"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-"}, "spec": spec}
        self.api.post("/api/v1/namespaces/default/pods", json=pod, params={"dryRun": "All"}).raise_for_status()
        return asked() > before


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything, shared: each test has namespaces and images of its own."""
    folder = tmp_path_factory.mktemp("credentials")
    authority = CertificateAuthority(folder / "pki")
    with contextlib.ExitStack() as stack:
        audit = folder / "audit.log"
        plane = stack.enter_context(ControlPlane(kwok=False, api_server_flags=audited(folder, audit)))
        plane.kubectl("apply", "-f", "-", input=DEFINITION)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
        plane.apply(*(fake_node(f"node-{architecture}", architecture) for architecture in ("amd64", "arm64")))
        readers = {REPOSITORY: READERS, "private/late": READERS}
        tokens = stack.enter_context(TokenServer(authority, users=PASSWORDS, readers=readers))
        registry = stack.enter_context(RegistryServer(authority=authority, tokens=tokens))
        ca = authority.certificate
        webhook = stack.enter_context(WebhookServer(plane.kubeconfig, registry_ca=ca, log_level="debug"))
        api = stack.enter_context(plane.client())
        made = World(plane, api, registry, tokens, ca, audit, webhook)
        made.register(webhook)
        yield made


def audited(folder: Path, log: Path) -> list[str]:
    """Flags that make the API server write down who reads Secrets and ServiceAccounts, before it answers."""
    resources = [{"group": "", "resources": ["secrets", "serviceaccounts"]}]
    rules = [
        {
            "level": "Metadata",
            "resources": resources,
            "verbs": ["get", "list", "watch"],
            "omitStages": ["RequestReceived"],
        },
        {"level": "None"},
    ]
    policy = folder / "audit.json"
    policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    log.touch()
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


def encoded(text: str) -> str:
    """Base64, as Secrets have it."""
    return b64encode(text.encode()).decode()


def terms(spec: Object) -> object:
    """The required node selector terms of a pod; None where it has none."""
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")


def pulling(*secrets: str) -> Object:
    """The part of a template that names pull secrets."""
    return {"imagePullSecrets": [{"name": name} for name in secrets]}


def workload(kind: str, namespace: str, name: str, image: str, **spec: object) -> Object:
    """A Deployment without replicas, or a DaemonSet."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}
    body = {"selector": {"matchLabels": {"app": name}}, "template": template}
    body |= {"replicas": 0} if kind == "Deployment" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": body}


def test_a_private_image_is_read_once_with_the_pods_secret(world: World) -> None:
    """Then it is known for the namespace's pods with that secret: no Secret is read, no registry asked."""
    team, image = world.namespace("warm"), world.push("warm")
    world.secret(team, "regcred", "alice")
    assert world.create(team, image, "regcred") == "Constrained"
    assert world.reads(team) == ["get secrets regcred"]
    fact = wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image)) or {}
    assert fact["spec"] == {
        "scope": "Namespace",
        "namespace": team,
        "pullSecrets": ["regcred"],
        "reference": image,
    }
    world.registry.forget()
    world.tokens.requests.clear()
    for _ in range(20):
        assert world.create(team, image, "regcred") == "Constrained"
    with world.asked():  # one that has only the facts of the cluster
        assert world.create(team, image, "regcred") == "Constrained"
    assert world.reads(team) == ["get secrets regcred"]
    assert world.registry.requests() == []
    assert world.tokens.requests == []


@pytest.mark.parametrize(
    ("name", "secrets", "reason"),
    [
        ("legacy", [("legacy", "alice", True)], "Constrained"),
        ("two", [("wrong", "bob", False), ("right", "alice", False)], "Constrained"),
        ("mixed", [("right", "alice", True), ("wrong", "bob", False)], "Constrained"),
        ("wrong", [("wrong", "bob", False)], "AccessDenied"),
        ("none", [], "AccessDenied"),
    ],
)
def test_secrets_of_both_types_are_tried_in_turn(
    world: World, name: str, secrets: Sequence[tuple[str, str, bool]], reason: str
) -> None:
    """Whichever of them may read the image; none that may is a denial."""
    team, image = world.namespace(f"types-{name}"), world.push(f"types-{name}")
    for secret, user, legacy in secrets:
        world.secret(team, secret, user, legacy=legacy)
    assert world.create(team, image, *(secret for secret, _, _ in secrets)) == reason


def test_what_is_missing_or_damaged_is_left_out(world: World) -> None:
    """The others are tried; names that no Secret can have are not asked for."""
    team, image = world.namespace("damaged"), world.push("damaged")
    world.secret(team, "right", "alice")
    data = {".dockerconfigjson": encoded('{"auths": {"localhost": 5}, "auths2": []}')}
    damaged = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "damaged", "namespace": team}, "data": data}
    opaque = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "opaque", "namespace": team}}
    world.plane.apply(damaged | {"type": "kubernetes.io/dockerconfigjson"}, opaque)
    assert world.create(team, image, "missing", "damaged", "opaque", "right") == "Constrained"
    assert sorted(world.reads(team)) == [f"get secrets {name}" for name in ("damaged", "missing", "opaque", "right")]


def test_what_one_namespace_reads_answers_no_other(world: World) -> None:
    """Neither from memory nor from the cluster's facts, in whatever replica: also not under the same names."""
    team, other, image = world.namespace("ours"), world.namespace("theirs"), world.push("ours")
    world.secret(team, "regcred", "alice")
    world.secret(other, "regcred", "bob")
    assert world.create(team, image, "regcred") == "Constrained"
    wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image))
    with world.asked():
        for _ in range(2):
            assert world.create(other, image, "regcred") == "AccessDenied"
            assert world.create(other, image) == "AccessDenied"
            assert world.create(team, image) == "AccessDenied"
            assert world.create(team, image, "regcred") == "Constrained"
    assert world.create(other, image, "regcred") == "AccessDenied"
    assert world.fact(pull_scope(other, ["regcred"]), image) is None
    world.secret(other, "regcred", "alice")
    assert wait_for(lambda: world.create(other, image, "regcred") == "Constrained")


@pytest.mark.parametrize("change", ["rotated", "deleted"])
def test_a_secret_that_reads_no_more_ends_what_it_revealed(world: World, change: str) -> None:
    """Once what is known is confirmed: for a tag in the background, when it is used after its time."""
    team, image = world.namespace(change), world.push(change)
    digest = single("linux/arm64", f"{REPOSITORY}-{change}").digest
    world.plane.apply(object_of(image, digest, ["linux/arm64"], 48, puller=(team, ["regcred"])))
    if change == "rotated":
        world.secret(team, "regcred", "bob")
    with world.asked():
        assert world.create(team, image, "regcred") == "Constrained"
        assert wait_for(lambda: world.create(team, image, "regcred") == "AccessDenied")
        fact = wait_for(lambda: failing(world.fact(pull_scope(team, ["regcred"]), image))) or {}
    assert fact["status"]["lastFailure"] == "AccessDenied"
    with world.asked():
        assert world.create(team, image, "regcred") == "AccessDenied"
        world.secret(team, "regcred", "alice")
        assert wait_for(lambda: world.create(team, image, "regcred") == "Constrained")
        wait_for(lambda: not failing(world.fact(pull_scope(team, ["regcred"]), image)))


def test_templates_are_looked_up_with_their_service_accounts_secrets(world: World) -> None:
    """Before their pods come, which then have these secrets: their admission reads none, and asks nobody."""
    team, image = world.namespace("templates"), world.push("templates")
    world.secret(team, "regcred", "alice")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": team}}
    world.plane.apply(account | pulling("regcred"))
    world.plane.apply(workload("Deployment", team, "later", image, serviceAccountName="builder"))
    with world.controller():
        wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image))
    assert set(world.reads(team)) == {"get serviceaccounts builder", "get secrets regcred"}
    world.wait_seen()
    world.registry.forget()
    mark = len(world.reads(team))
    world.plane.kubectl("scale", "deployment", "later", "--replicas=2", f"--namespace={team}")
    path = f"/api/v1/namespaces/{team}/pods"
    pods = wait_for(lambda: found if len(found := world.api.get(path).json()["items"]) == 2 else None) or []
    assert [pod["metadata"]["labels"][DECISION] for pod in pods] == ["Constrained"] * 2
    assert [pod["spec"]["imagePullSecrets"] for pod in pods] == [[{"name": "regcred"}]] * 2
    assert world.reads(team, mark=mark) == []
    assert world.registry.requests() == []


def test_held_pods_are_released_by_what_their_own_secrets_read(world: World) -> None:
    """One look-up with them; without, the registry gives no access, which is no reason to wait."""
    image = world.push("held")
    world.await_account("kube-system")
    world.secret("kube-system", "regcred", "alice")
    try:
        hold(world, "held-right", image, **pulling("regcred"))
        hold(world, "held-none", image)
        mark = len(world.reads("kube-system"))
        with world.controller():
            for name, reason, expected in (("held-right", "Constrained", ARM64), ("held-none", "AccessDenied", None)):
                wait_for(partial(_is_released, world, f"{UNASKED}/{name}"))
                pod = world.api.get(f"{UNASKED}/{name}").json()
                assert (pod["metadata"]["labels"][DECISION], terms(pod["spec"])) == (reason, expected)
            read = world.reads("kube-system", mark=mark)
            assert [each for each in read if "regcred" in each] == ["get secrets regcred"]
    finally:
        for name in ("held-right", "held-none"):
            world.api.delete(f"{UNASKED}/{name}", params={"gracePeriodSeconds": 0})
        world.plane.kubectl("delete", "secret", "regcred", "--namespace=kube-system")


def hold(world: World, name: str, image: str, **more: object) -> None:
    """Create a pod as the webhook leaves one that is held."""
    gate = {"schedulingGates": [{"name": "rightarch.dev/platforms"}]}
    spec = {"containers": [{"name": "main", "image": image}], **gate, **more}
    metadata = {"name": name, "labels": {"rightarch.dev/gated": "true"}}
    world.api.post(
        UNASKED, json={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    ).raise_for_status()


def _is_released(world: World, path: str) -> bool:
    return "schedulingGates" not in world.api.get(path).raise_for_status().json()["spec"]


def test_daemon_sets_are_admitted_with_their_service_accounts_secrets(world: World) -> None:
    """The template has none of them; where all is known, or it names its own, the ServiceAccount is not read."""
    team, image, own = world.namespace("daemons"), world.push("daemons"), world.push("daemons-own")
    world.secret(team, "regcred", "alice")
    world.plane.kubectl(
        "patch", "serviceaccount", "default", f"--namespace={team}", "-p", json.dumps(pulling("regcred"))
    )
    assert template_terms(world, workload("DaemonSet", team, "agent", image)) == ARM64
    assert list(dict.fromkeys(world.reads(team))) == ["get serviceaccounts default", "get secrets regcred"]
    mark = len(world.reads(team))
    assert template_terms(world, workload("DaemonSet", team, "own", own, **pulling("regcred"))) == ARM64
    assert world.reads(team, mark=mark) == ["get secrets regcred"]
    public = world.push("daemons", "public/app")
    assert world.create("default", public) == "Constrained"
    mark = len(world.reads(team))
    assert template_terms(world, workload("DaemonSet", team, "public", public)) == ARM64
    assert world.reads(team, mark=mark) == []


def test_a_daemon_sets_private_image_may_be_pushed_late(world: World) -> None:
    """The controller writes the template, with the credentials that its pods will have."""
    team = world.namespace("late")
    world.secret(team, "regcred", "alice")
    world.plane.kubectl(
        "patch", "serviceaccount", "default", f"--namespace={team}", "-p", json.dumps(pulling("regcred"))
    )
    image = f"localhost:{world.registry.port}/private/late:1"
    item = workload("DaemonSet", team, "late", image)
    assert template_terms(world, item) is None
    with world.controller():
        world.push("1", "private/late")
        path = f"/apis/apps/v1/namespaces/{team}/daemonsets/late"
        wait_for(lambda: terms(world.api.get(path).json()["spec"]["template"]["spec"]) == ARM64)


def test_the_controller_finds_out_that_a_right_was_lost(world: World) -> None:
    """Although nobody asks: what was found with a credential is checked again, and a loss ends all answers."""
    team, image = world.namespace("rechecked"), world.push("rechecked")
    digest = single("linux/arm64", f"{REPOSITORY}-rechecked").digest
    by_digest = f"{image.rpartition(':')[0]}@{digest}"
    world.secret(team, "regcred", "alice")
    for reference in (image, by_digest):
        world.plane.apply(object_of(reference, digest, ["linux/arm64"], 48, puller=(team, ["regcred"])))
    scope = pull_scope(team, ["regcred"])
    days = {today()}
    with world.controller("--recheck-interval=2") as controller:
        wait_for(lambda: controller.metrics()["rightarch_rechecks_total"] >= 4)
        for reference in (image, by_digest):
            assert not failing(world.fact(scope, reference))
        world.plane.kubectl("delete", "secret", "regcred", f"--namespace={team}")
        for reference in (image, by_digest):
            wait_for(partial(lost, world, scope, reference))
    used = (world.fact(scope, by_digest) or {})["status"]["lastUsed"]
    assert used in days | {today()}
    wait_for(lambda: world.create(team, by_digest, "regcred") == "AccessDenied")


def test_facts_that_nobody_needs_are_deleted(world: World) -> None:
    """Not used for two weeks, or superseded by what all may read; what is used stays, and what answers few."""
    digest = "sha256:" + "1" * 64
    puller = ("team", ["regcred"])
    names = {name: f"registry.example/collected/{name}:1" for name in ("unused", "used", "public", "private")}
    kept = [
        object_of(names["used"], digest, ["linux/arm64"], days_unused=13),  # 14 when the day ends meanwhile
        object_of(names["public"], digest, ["linux/arm64"], 1),
        object_of(names["private"], digest, ["linux/arm64"], 48, puller=puller, days_unused=10),
    ]
    gone = [
        object_of(names["unused"], digest, ["linux/arm64"], days_unused=15),
        object_of(names["unused"], digest, ["linux/arm64"], puller=puller, days_unused=15),
        object_of(names["public"], digest, ["linux/arm64"], 2, puller=puller),
    ]
    world.plane.apply(*kept, *gone)
    with world.controller() as controller:
        wait_for(lambda: not set(map(name, gone)) & stored(world))
        wait_for(lambda: deletions(controller) == {"unused": 2, "superseded": 1})
    assert set(map(name, kept)) <= stored(world)


def test_pull_secrets_are_read_only_where_that_is_allowed(world: World) -> None:
    """By the settings, which say what the chart grants."""
    team, other, image = world.namespace("allowed"), world.namespace("forbidden"), world.push("allowed")
    for namespace in (team, other):
        world.secret(namespace, "regcred", "alice")
    with world.asked(f"--pull-secrets={team}"):
        assert world.create(other, image, "regcred") == "AccessDenied"
        assert world.reads(team, other) == []
        assert world.create(team, image, "regcred") == "Constrained"
    with world.asked("--pull-secrets=none"):
        mark = len(world.reads(team, other))
        assert world.create(team, image, "regcred") == "AccessDenied"
        assert template_terms(world, workload("DaemonSet", team, "forbidden", image)) is None
        assert world.reads(team, other, mark=mark) == []


@pytest.mark.parametrize("scope", ["cluster", "namespace"])
def test_credential_providers_read_for_the_cluster_or_for_each_namespace(
    world: World, scope: str, tmp_path: Path
) -> None:
    """As the nodes' own plugins do for all of a node's pods; a pod's own secret comes first."""
    first, second, third = (world.namespace(f"{each}-plugged-{scope}") for each in ("first", "second", "third"))
    image = world.push(f"plugins-{scope}")
    host = f"localhost:{world.registry.port}"
    options = provider(tmp_path, host)
    world.secret(third, "regcred", "alice")
    with world.asked(*options, f"--identity-scope={scope}"):
        assert world.create(third, image, "regcred") == "Constrained"
        assert not (tmp_path / "asked").exists()
        assert world.create(first, image) == "Constrained"
        world.tokens.requests.clear()
        assert world.create(second, image) == "Constrained"
        assert len(world.tokens.requests) == 0  # the token is remembered; the registry was asked
        scopes = {"cluster": [CLUSTER], "namespace": [pull_scope(first, ()), pull_scope(second, ())]}[scope]
        for each in scopes:
            wait_for(partial(world.fact, each, image))
    assert (tmp_path / "asked").read_text().count("CredentialProviderRequest") == 1
    with world.asked("--cloud-credentials=none"):  # and no plugins: without an identity
        assert world.create(first, image) == "AccessDenied"


def test_no_log_has_a_secret(world: World) -> None:
    """At level debug, of all replicas and controllers of this module: no password, in no form."""
    team, image = world.namespace("logged"), world.push("logged")
    world.secret(team, "regcred", "alice")
    with world.asked(), world.controller():
        assert world.create(team, image, "regcred") == "Constrained"
    logs = [path.read_text() for path in world.logs] + [world.webhook.log()]
    assert len(logs) >= 3
    assert "looked up localhost" in "".join(logs)
    for user, password in PASSWORDS.items():
        for form in (password, encoded(password), encoded(f"{user}:{password}")):
            assert not any(form.rstrip("=") in log for log in logs)


def provider(folder: Path, host: str) -> list[str]:
    """A credential provider that knows alice; gives the options that name it."""
    auth = {host: {"username": "alice", "password": PASSWORDS["alice"]}}
    api = "credentialprovider.kubelet.k8s.io/v1"
    answer = {"apiVersion": api, "kind": "CredentialProviderResponse", "cacheKeyType": "Registry", "auth": auth}
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "alice"
    program.write_text(f"#!/bin/sh\ncat >> {folder}/asked\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    one = {"name": "alice", "matchImages": [host], "defaultCacheDuration": "1h", "apiVersion": api}
    config = folder / "config.json"
    kind = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
    config.write_text(json.dumps(kind | {"providers": [one]}))
    return [f"--image-credential-provider-config={config}", f"--image-credential-provider-bin-dir={programs}"]


def template_terms(world: World, item: Object) -> object:
    """The terms of a workload's template as it is stored when it is created, once its image is known in time."""
    collection = Resources(world.api).path(item)
    wait_for(lambda: '"TimedOut"' not in said_of(world.api.post(collection, json=item, params={"dryRun": "All"})))
    response = world.api.post(collection, json=item)
    return terms(response.raise_for_status().json()["spec"]["template"]["spec"])


def said_of(response: httpx.Response) -> str:
    """What the annotation of a workload says was decided on its template."""
    said: str = response.raise_for_status().json()["metadata"]["annotations"]["rightarch.dev/template"]
    return said


def deletions(controller: ControllerServer) -> dict[str, float]:
    """How many facts a controller has deleted, and why."""
    metrics = controller.metrics()
    return {why: metrics[f'rightarch_image_facts_deleted_total{{why="{why}"}}'] for why in ("unused", "superseded")}


def today() -> str:
    """The day, as facts name it; it may end in the middle of a test."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def failing(fact: Object | None) -> Object | None:
    """A fact, if it tells of a failure."""
    return fact if fact and "lastFailure" in fact["status"] else None


def lost(world: World, scope: str, image: str) -> bool:
    """Whether the object about an image tells of a failure."""
    return failing(world.fact(scope, image)) is not None


def name(item: Object) -> str:
    """The name of an object."""
    found: str = item["metadata"]["name"]
    return found


def stored(world: World) -> set[str]:
    """The names of all facts."""
    return set(map(name, world.api.get(COLLECTION).raise_for_status().json()["items"]))
