"""Cloud images, from a pod at the API server to the clouds' own names and addresses, and what is kept of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.clouds_network import REGISTRIES
from tests.controlplane import binary
from tests.controlplane.cluster import COMPONENTS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own takes root on Linux")

PRIVATE = [cloud for cloud in REGISTRIES if cloud != "elsewhere"]
INSTANCE = [
    "PUT /latest/api/token",
    "GET /latest/meta-data/iam/security-credentials/",
    "GET /latest/meta-data/iam/security-credentials/nodes",
    "POST /",
]
MACHINE = {
    "ecr": INSTANCE,
    "ecr-public": INSTANCE[-1:],  # by the keys that are there already
    "gar": ["GET /computeMetadata/v1/instance/service-accounts/default/token"],
    "acr": [
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://containerregistry.azure.net",
        "POST /oauth2/exchange",
    ],
}
WITHOUT = {"reason": "AccessDenied", "services": []}
WARM = {"reason": "Constrained", "services": [], "pulled": []}

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What was seen in the network of its own, where everything is played once."""
    for program in (*COMPONENTS[:-1], "registry", "kubectl"):
        binary(program)  # there is no way out of that network to fetch one
    folder: Path = tmp_path_factory.mktemp("clouds")
    command = ["unshare", "--net", "--mount", sys.executable, "-W", "error", "-m", "tests.cluster.clouds_network"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    told: Seen = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("cloud", PRIVATE)
def test_a_cloud_s_image_is_read_by_the_machine_s_identity(seen: Seen, cloud: str) -> None:
    """Asked for at the metadata address, exchanged at the fixed services, shown to the registry as it challenges."""
    first = seen["machines"][cloud]["first"]
    assert (first["reason"], first["services"]) == ("Constrained", MACHINE[cloud])
    assert {asked.partition(" ")[0] for asked in first["pulled"]} == {REGISTRIES[cloud]}
    assert len(first["pulled"]) == 3  # challenged, manifest, configuration


@pytest.mark.parametrize("cloud", PRIVATE)
def test_what_the_identity_read_answers_pods_of_every_namespace(seen: Seen, cloud: str) -> None:
    """From memory; from another replica's, which learnt it from the cluster: nobody is asked."""
    told = seen["machines"]
    assert told[cloud]["fact"] == {"scope": "Cluster", "reference": f"{REGISTRIES[cloud]}/{cloud}/app:machine"}
    assert told[cloud]["second"] == WARM
    assert told["restarted"][cloud] == WARM


def test_an_image_of_no_cloud_is_everybody_s(seen: Seen) -> None:
    """Clouds that are on change nothing for it."""
    told = seen["machines"]
    assert told["elsewhere"]["first"]["services"] == []
    assert told["elsewhere"]["fact"]["scope"] == "Anonymous"
    assert told["elsewhere"]["second"] == told["restarted"]["elsewhere"] == told["known, off"]["elsewhere"] == WARM


@pytest.mark.parametrize("cloud", PRIVATE)
def test_with_the_switch_off_no_cloud_is_asked(seen: Seen, cloud: str) -> None:
    """Nor does an answer count that the identity found when it was on."""
    for which in ("off", "known, off"):
        assert seen["machines"][which][cloud].items() >= WITHOUT.items()
    assert seen["machines"]["off"]["elsewhere"]["reason"] == "Constrained"
    assert seen["tokens"]["google, off"].items() >= WITHOUT.items()


def test_each_namespace_may_find_for_itself(seen: Seen) -> None:
    """With ``--identity-scope=namespace``: by one identity, whose credential is there already."""
    first, second, again = seen["machines"]["apart"]
    assert first["services"] == INSTANCE
    assert (second["reason"], second["services"], len(second["pulled"])) == ("Constrained", [], 1)
    assert again == WARM


@pytest.mark.parametrize(
    ("way", "services"),
    [
        ("role", ["POST /", "POST /"]),
        ("agent", ["GET /v1/credentials", "POST /"]),
        ("workload", ["POST /11111111-2222-3333-4444-555555555555/oauth2/v2.0/token", "POST /oauth2/exchange"]),
    ],
)
def test_tokens_of_service_accounts_are_exchanged(seen: Seen, way: str, services: list[str]) -> None:
    """IRSA at the region's STS, the agent of Pod Identity at its address, workload identity at Entra ID."""
    assert seen["tokens"][way].items() >= {"reason": "Constrained", "services": services}.items()


def test_the_metadata_address_is_no_registry(seen: Seen) -> None:
    """The process that asks it for an identity never asks it for an image, whatever a pod says."""
    assert seen["machines"]["metadata"] == {"reason": "AddressRefused", "services": [], "pulled": []}


def test_no_password_is_in_the_log(seen: Seen) -> None:
    """At level debug."""
    assert seen["machines"]["secrets in the log"] == 0
