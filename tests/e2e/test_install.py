"""The chart on a real API server: accepted, running under the restricted standard, unchanged by upgrades."""

from __future__ import annotations

import base64
import functools
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.controlplane import CertificateAuthority, wait_for
from tests.support.helm import CHART, HelmError
from tests.support.installation import Release

from .test_chart import MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

CERT_MANAGER = Path(__file__).with_name("cert-manager")
INSTALLING = CHART.parents[1] / "docs" / "installing.md"
CONFIGURATION = "mutatingwebhookconfiguration/rightarch"
SECRET = "secret/rightarch-certificate"  # noqa: S105 - a name
REVISION = "deployment.kubernetes.io/revision"
BOTH_APPLIES = pytest.mark.parametrize("apply", ["server", "client"])  # Helm 4's way, and that of Helm 3


@pytest.fixture
def installed(release: Release) -> Iterator[Release]:
    """The release with the chart's own values; uninstalled afterwards."""
    release.install({}, "--wait", "--timeout=240s")
    yield release
    release.uninstall()


def get(release: Release, name: str) -> Object:
    """An object of the release's namespace, or one that has none."""
    found: Object = json.loads(release.plane.kubectl("get", name, f"--namespace={release.namespace}", "--output=json"))
    return found


def everything(release: Release) -> dict[str, Object]:
    """All objects of the release as users wrote them: without status and bookkeeping.

    A Deployment gets its first revision a moment after it was created, which is waited for.
    """
    return wait_for(lambda: _everything(release))


def _everything(release: Release) -> dict[str, Object]:
    """The same; nothing while a Deployment has no revision."""
    found = {}
    listed = release.plane.kubectl("get", "--filename=-", "--output=json", input=release.manifest())
    for item in json.loads(listed)["items"]:
        item.pop("status", None)
        for key in ("managedFields", "resourceVersion"):
            item["metadata"].pop(key, None)
        if item["kind"] == "Deployment" and REVISION not in item["metadata"].get("annotations", {}):
            return {}
        found[f"{item['kind']}/{item['metadata']['name']}"] = item
    return found


def keep_certificate(release: Release, authority: Path) -> None:
    """Write what the controller writes, as the controller: the certificate, and the CA into each webhook."""
    bundle = base64.b64encode(authority.read_bytes()).decode()
    data = {key: base64.b64encode(key.encode()).decode() for key in ("ca.crt", "tls.crt", "tls.key")}
    paths: dict[str, Object] = {
        f"/api/v1/namespaces/{release.namespace}/secrets/rightarch-certificate": {"data": data},
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/rightarch": {
            "webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name in webhook_names(release)]
        },
    }
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    with release.client("controller") as client:

        def is_changed(path: str, change: Object) -> bool:
            """It may take a moment until the right to it holds."""
            return client.patch(path, json=change, headers=headers).is_success

        for path, change in paths.items():
            wait_for(functools.partial(is_changed, path, change))


def webhook_names(release: Release) -> list[str]:
    """The names of the webhooks that are registered."""
    return [webhook["name"] for webhook in get(release, CONFIGURATION)["webhooks"]]


def _guarded(release: Release, component: str) -> int:
    """How many pods the component's PodDisruptionBudget watches over."""
    return int(get(release, f"pdb/rightarch-{component}")["status"].get("expectedPods", 0))


@pytest.mark.parametrize("mode", MODES)
def test_the_api_server_accepts_what_is_rendered(release: Release, mode: str) -> None:
    """In each mode, as it would store it; cert-manager's objects by cert-manager's own definitions."""
    release.make_namespace()
    definitions = release.plane.apply(*(json.loads(path.read_text()) for path in CERT_MANAGER.glob("*.json")))
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    release.plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    items = release.helm.template("trial", release.namespace, MODES[mode])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    flags = (
        "--server-side",
        "--dry-run=server",
        "--force-conflicts",
    )  # an earlier release may have left its definitions
    said = release.plane.kubectl("apply", *flags, "--filename=-", input=text)
    assert len(said.splitlines()) == len(items)


def test_both_deployments_become_available_in_a_restricted_namespace(installed: Release) -> None:
    """The API server's own admission refuses whatever the restricted standard forbids."""
    for component in ("webhook", "controller"):
        deployment = get(installed, f"deployment/rightarch-{component}")
        assert deployment["status"]["availableReplicas"] == 2
        wait_for(lambda component=component: _guarded(installed, component) == 2)  # type: ignore[misc] # binds the loop's value


def test_the_registration_has_every_field(installed: Release) -> None:
    """What is stored is what was rendered: a tool that compares finds nothing to do."""
    [rendered] = [item for item in yaml.safe_load_all(installed.manifest()) if item["kind"].startswith("Mutating")]
    assert get(installed, CONFIGURATION)["webhooks"] == rendered["webhooks"]


@BOTH_APPLIES
def test_an_upgrade_keeps_what_the_controller_wrote(release: Release, tmp_path: Path, apply: str) -> None:
    """The certificate and the CA stay; with the same values, nothing at all changes."""
    server_side = f"--server-side={str(apply == 'server').lower()}"
    release.install({}, server_side)
    try:
        keep_certificate(release, CertificateAuthority(tmp_path).certificate)
        before = everything(release)
        assert before["Secret/rightarch-certificate"]["data"].keys() == {"ca.crt", "tls.crt", "tls.key"}
        release.upgrade({}, server_side)
        assert everything(release) == before
        release.upgrade({"webhook": {"timeoutSeconds": 4}}, server_side)
        after = get(release, CONFIGURATION)["webhooks"]
        old = before["MutatingWebhookConfiguration/rightarch"]["webhooks"]
        assert after == [webhook | {"timeoutSeconds": 4} for webhook in old]
        assert all("caBundle" in webhook["clientConfig"] for webhook in after)
        assert get(release, SECRET)["data"] == before["Secret/rightarch-certificate"]["data"]
    finally:
        release.uninstall()


def test_what_was_kept_of_one_release_is_taken_over_by_another(
    control_plane: ControlPlane, release: Release, tmp_path: Path
) -> None:
    """Under another name, in another namespace: by the command that the documentation names, or not at all."""
    release.install({}, "--take-ownership")  # an earlier test may have left the definitions
    release.uninstall()
    [words] = [line.split() for line in INSTALLING.read_text().splitlines() if "--take-ownership" in line]
    name, namespace, flag = words[2], words[words.index("--namespace") + 1], words[-1]
    other = Release(control_plane, tmp_path / "other", name, namespace)
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        other.install({})
    for values, flags in (({"crds": {"install": False}}, []), ({}, [flag])):
        other.install(values, *flags)
        other.uninstall()
    release.install({}, flag)
    release.uninstall()


def test_a_secret_that_was_deleted_comes_back_by_an_upgrade(installed: Release) -> None:
    """The controller may not create one."""
    installed.plane.kubectl("delete", SECRET, f"--namespace={installed.namespace}")
    installed.upgrade({})
    assert get(installed, SECRET)["type"] == "Opaque"


def test_uninstalling_leaves_the_definitions_alone(control_plane: ControlPlane, release: Release) -> None:
    """Nothing else stays; the chart can be installed again, over what was kept."""
    for _ in range(2):
        release.install({})
        manifest = release.manifest()
        definitions = [item for item in everything(release) if item.startswith("CustomResourceDefinition/")]
        release.uninstall()
        query = ("get", "--filename=-", "--ignore-not-found", "--output=name")
        left = control_plane.kubectl(*query, input=manifest).splitlines()
        assert len(left) == len(definitions)
        assert all(name.startswith("customresourcedefinition.") for name in left)


def test_notes_say_what_to_do_next(release: Release) -> None:
    """With the names of this very release, and commands that work."""
    notes = release.install({"webhook": {"excludedNamespaces": ["legacy"]}}).partition("NOTES:\n")[2]
    try:
        commands = [line.strip() for line in notes.splitlines() if line.strip().startswith("kubectl ")]
        assert f"kubectl --namespace {release.namespace} rollout status deployment/rightarch-webhook" in commands
        assert f"Pods in kube-system, {release.namespace}, legacy are never touched." in notes
        for command in commands:
            if "NAME" not in command:
                release.plane.kubectl(*shlex.split(command)[1:])
    finally:
        release.uninstall()
