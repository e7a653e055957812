"""What the chart's ServiceAccounts may do: exactly what is written here, by the API server's own account of it."""

from __future__ import annotations

import base64
import contextlib
import re
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.controlplane import CertificateAuthority, KubectlError, wait_for
from tests.support.installation import NAMESPACE, Release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.controlplane import ControlPlane

EVERYWHERE = {
    "webhook": {
        "endpointslices.discovery.k8s.io [kubernetes] list watch",
        "nodeclaims.karpenter.sh [] list watch",
        "nodepools.karpenter.sh [] list watch",
        "nodes [] list watch",
        "events.events.k8s.io [] create",
        "imageplatforms.rightarch.dev [] create list patch watch",
        "architecturepolicies.rightarch.dev [] list watch",
        "clusterarchitecturepolicies.rightarch.dev [] list watch",
        "namespaces [] get list watch",
        "pods [] list watch",
        "secrets [] get",
        "serviceaccounts [] get",
    },
    "controller": {
        "cronjobs.batch [] list watch",
        "daemonsets.apps [] list patch watch",
        "deployments.apps [] list watch",
        "endpointslices.discovery.k8s.io [kubernetes] list watch",
        "events.events.k8s.io [] create",
        "imageplatforms.rightarch.dev [] create delete list patch watch",
        "architecturepolicies.rightarch.dev [] list watch",
        "architecturepolicies.rightarch.dev/status [] patch",
        "clusterarchitecturepolicies.rightarch.dev [] list watch",
        "clusterarchitecturepolicies.rightarch.dev/status [] patch",
        "namespaces [] list watch",
        "nodeclaims.karpenter.sh [] list watch",
        "nodepools.karpenter.sh [] list watch",
        "nodes [] list watch",
        "pods [] list patch watch",
        "secrets [] get",
        "serviceaccounts [] get",
        "statefulsets.apps [] list watch",
    },
}
RIGHTS_SECONDS = 30
LINE = re.compile(r"(?P<resources>\S*)\s*\[(?P<addresses>.*?)\]\s+\[(?P<names>.*?)\]\s+\[(?P<verbs>.*?)\]")
REGISTRATION = "mutatingwebhookconfigurations.admissionregistration.k8s.io [rightarch] get list patch watch"
AT_HOME = {
    "webhook": {
        "leases.coordination.k8s.io [rightarch-controller] list watch",
        "secrets [rightarch-certificate] get list watch",
    },
    "controller": {
        "leases.coordination.k8s.io [] create",
        "leases.coordination.k8s.io [rightarch-controller] get update",
        "secrets [rightarch-certificate] get list patch watch",
    },
}


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The release with the chart's own values."""
    release = Release(control_plane, tmp_path_factory.mktemp("rights"))
    release.install({})
    yield release
    release.uninstall()


def rights(release: Release, account: str, namespace: str) -> set[str]:
    """What an account may do, as `kubectl auth can-i --list` tells it: resource, names, verbs."""
    user = f"--as=system:serviceaccount:{release.namespace}:{account}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{release.namespace}", "system:authenticated"]
    listed = release.plane.kubectl(
        "auth",
        "can-i",
        "--list",
        "--no-headers",
        user,
        *(f"--as-group={g}" for g in groups),
        f"--namespace={namespace}",
    )
    return {_right(line) for line in listed.splitlines()}


def own(release: Release, component: str, namespace: str, expected: set[str]) -> set[str]:
    """What a component's account may do beside what every account may, once it is what is expected; or after a while.

    The API server takes a moment to know of roles that have changed.
    """

    def found() -> set[str]:
        return rights(release, release.account(component), namespace) - rights(release, "default", namespace)

    with contextlib.suppress(TimeoutError):
        wait_for(lambda: found() == expected, RIGHTS_SECONDS)
    return found()


def _right(line: str) -> str:
    """A line of the table, which tells resources, addresses, names and verbs; the last in any order."""
    found = LINE.fullmatch(line.strip())
    assert found, line
    return f"{found['resources'] or found['addresses']} [{found['names']}] {' '.join(sorted(found['verbs'].split()))}"


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_an_account_may_do_what_its_process_does_and_no_more(installed: Release, component: str) -> None:
    """Beside what every account may, the namespace's default one too; at home a little more than elsewhere."""
    elsewhere = EVERYWHERE[component] | ({REGISTRATION} if component == "controller" else set())
    for namespace, expected in [("default", elsewhere), (NAMESPACE, elsewhere | AT_HOME[component])]:
        assert rights(installed, "default", namespace)
        assert own(installed, component, namespace, expected) == expected


def test_a_token_of_the_chart_is_what_the_process_gets(installed: Release) -> None:
    """Reading Nodes is allowed and done; a Secret is read by its name, wherever it is, and none is listed."""
    with installed.client("webhook") as client:
        home = f"/api/v1/namespaces/{installed.namespace}/secrets"
        for path in ("/api/v1/nodes", f"{home}/rightarch-certificate"):
            wait_for(lambda path=path: client.get(path).status_code == 200)  # type: ignore[misc] # binds the loop's value
        only = {"fieldSelector": "metadata.name=rightarch-certificate"}
        assert [item["metadata"]["name"] for item in client.get(home, params=only).json()["items"]] == [
            "rightarch-certificate"
        ]
        elsewhere = "/api/v1/namespaces/default/secrets"
        for path in (home, elsewhere, "/api/v1/secrets", "/api/v1/configmaps"):
            assert client.get(path).status_code == 403, path
        for path in (f"{home}/another", f"{elsewhere}/another"):
            assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_pull_secrets_are_read_where_the_values_say(installed: Release, component: str) -> None:
    """In some namespaces, or in none: then neither Secrets nor ServiceAccounts are."""
    plane = installed.plane
    pulling = {"secrets [] get", "serviceaccounts [] get"}
    elsewhere = EVERYWHERE[component] | ({REGISTRATION} if component == "controller" else set()) - pulling
    plane.kubectl("create", "namespace", "rights-of-pullers")
    try:
        installed.upgrade({"secrets": {"access": "namespaces", "namespaces": ["rights-of-pullers"]}})
        for namespace, expected in [("default", elsewhere - pulling), ("rights-of-pullers", elsewhere | pulling)]:
            assert own(installed, component, namespace, expected) == expected
        installed.upgrade({"secrets": {"access": "none"}})
        for namespace in ("default", "rights-of-pullers"):
            assert own(installed, component, namespace, elsewhere - pulling) == elsewhere - pulling
    finally:
        installed.upgrade({})
        plane.kubectl("delete", "namespace", "rights-of-pullers")


def test_a_controller_that_keeps_no_certificate_may_touch_none(installed: Release, tmp_path: Path) -> None:
    """Nor the registration: others keep both."""
    bundle = base64.b64encode(CertificateAuthority(tmp_path).certificate.read_bytes()).decode()
    installed.upgrade({"certificates": {"mode": "secret", "secretName": "mine", "caBundle": bundle}})
    try:
        leases = {right for right in AT_HOME["controller"] if right.startswith("leases")}
        expected = EVERYWHERE["controller"] | leases
        assert own(installed, "controller", NAMESPACE, expected) == expected
        assert "secrets [mine] get list watch" in rights(installed, installed.account("webhook"), NAMESPACE)
    finally:
        installed.upgrade({})


@pytest.mark.parametrize(
    ("role", "reads", "writes"), [("view", True, False), ("edit", True, False), ("admin", True, True)]
)
def test_kubernetes_own_roles_cover_policies(installed: Release, role: str, reads: bool, writes: bool) -> None:
    """Whoever works in a namespace sees what applies there; its administrators alone change that, and no others'."""
    plane, namespace = installed.plane, f"policies-of-{role}"
    plane.kubectl("create", "namespace", namespace)
    try:
        plane.kubectl("create", "rolebinding", role, f"--clusterrole={role}", "--user=jane", f"--namespace={namespace}")
        can = partial(may, plane, "jane", namespace)
        wait_for(lambda: can("list", "architecturepolicies") == reads)
        wait_for(lambda: can("create", "architecturepolicies") == writes)
        assert can("delete", "architecturepolicies") == writes
        assert not can("update", "architecturepolicies/status")
        assert not can("create", "clusterarchitecturepolicies")
        assert not can("list", "imageplatforms")
        assert not may(plane, "jane", "default", "list", "architecturepolicies")
    finally:
        plane.kubectl("delete", "namespace", namespace)


def test_the_policies_of_the_cluster_are_those_of_whom_the_chart_s_role_is_given(installed: Release) -> None:
    """Nobody has it who is not given it."""
    plane = installed.plane
    binding = ["clusterrolebinding", "policies-of-joe"]
    plane.kubectl("create", *binding, "--clusterrole=rightarch-policies-cluster-admin", "--user=joe")
    try:
        wait_for(lambda: may(plane, "joe", "default", "create", "clusterarchitecturepolicies"))
        assert may(plane, "joe", "default", "patch", "architecturepolicies")
        assert not may(plane, "joe", "default", "patch", "clusterarchitecturepolicies/status")
    finally:
        plane.kubectl("delete", *binding)


def test_roles_of_kubernetes_stay_as_they_are_where_the_values_say_so(installed: Release) -> None:
    """Some administrators write all roles themselves."""
    installed.upgrade({"policies": {"aggregateRoles": False, "defaultMode": "Audit"}})
    try:
        for component in ("webhook", "controller"):
            assert "--default-mode=Audit" in installed.arguments(component)
        names = installed.plane.kubectl("get", "clusterroles", "--output=name").split()
        assert [name for name in names if "rightarch-policies" in name] == [
            "clusterrole.rbac.authorization.k8s.io/rightarch-policies-cluster-admin"
        ]
    finally:
        installed.upgrade({})


def may(plane: ControlPlane, user: str, namespace: str, verb: str, resource: str) -> bool:
    """Whether a user may do something, as the API server says."""
    kind, _, part = resource.partition("/")
    options = [f"--subresource={part}"] if part else []
    asked = ["auth", "can-i", verb, f"{kind}.rightarch.dev", f"--as={user}", f"--namespace={namespace}", *options]
    try:
        return plane.kubectl(*asked).strip().endswith("yes")
    except KubectlError:  # kubectl's way to say no
        return False
