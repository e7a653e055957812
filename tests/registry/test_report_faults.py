"""The report on images of registries that fail: each leaves its own workload open, with the cause, and no other."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.images import attested
from tests.registry.faults import FaultServer, answer

if TYPE_CHECKING:
    from tests.controlplane import CertificateAuthority
    from tests.images import RegistryServer
    from tests.registry.faults import Asked

PROGRAM = Path(sys.executable).parent / "rightarch"


async def report(folder: Path, authority: CertificateAuthority, *arguments: str, **images: str) -> dict[str, Any]:
    """The report on a pod of each image."""
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"image": image}]}}
        for name, image in images.items()
    ]
    (folder / "pods.yaml").write_text(yaml.safe_dump_all(pods))
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("RIGHTARCH_", "XDG_"))}
    home = {"HOME": str(folder), "DOCKER_CONFIG": str(folder), "RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate)}
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "report", "-f", folder / "pods.yaml", "-o", "json", *arguments, env=usual | home, stdout=-1, stderr=-1
    )
    said, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    found: dict[str, Any] = json.loads(said)
    return found


def unknown(report: dict[str, Any]) -> dict[str, list[str]]:
    """The Reasons for which images of each workload are not known."""
    return {row["name"]: [each["reason"] for each in row["unknown"]] for row in report["workloads"]}


@pytest.mark.parametrize("output", ["table", "csv", "html"])
def test_output_that_goes_nowhere(output: str, tmp_path: Path) -> None:
    """Is told in a line, with the status of an error."""
    (tmp_path / "a.yaml").write_text("kind: Service\napiVersion: v1\nmetadata: {name: a}\n")
    line = f"{PROGRAM} report -f {tmp_path}/a.yaml -o {output} >/dev/full"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "rightarch: the output can't be written: No space left on device\n")


@pytest.mark.timeout(120)
async def test_what_fails_is_told_and_the_rest_is_known(
    server: RegistryServer, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """A registry that limits the rate, one that fails, one that hangs, one that is away, an image that is not there."""
    server.push("report/good", "1", attested("linux/amd64", "linux/arm64", salt="report-faults"))

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if "/slow/" in asked.path:
            await asyncio.sleep(60)
        writer.write(answer(429, retry_after="60") if "/limited/" in asked.path else answer(500))

    found: dict[str, Any] = {}
    async with FaultServer(authority, handle) as limits, FaultServer(authority, handle) as fails:
        for seconds in (2, 20):  # a busy machine may need longer for those that answer
            found = await report(
                tmp_path,
                authority,
                f"--timeout={seconds}",
                good=f"{server.host}/report/good:1",
                absent=f"{server.host}/report/absent:1",
                limited=f"{limits.host}/limited/app:1",
                failing=f"{fails.host}/failing/app:1",
                slow=f"{fails.host}/slow/app:1",
                away="127.0.0.1:9/app:1",
                wrong="Not An Image",
            )
            if sum(reasons == ["TimedOut"] for reasons in unknown(found).values()) == 1:
                break
    assert unknown(found) == {
        "good": [],
        "absent": ["ImageNotFound"],
        "limited": ["RateLimited"],
        "failing": ["RegistryFailed"],
        "slow": ["TimedOut"],
        "away": ["RegistryUnreachable"],
        "wrong": ["InvalidReference"],
    }
    assert {row["name"]: row["verdict"] for row in found["workloads"]}["good"] == "Ready"
    assert found["storage"]["images"] == 1


async def test_a_list_of_tags_may_be_anything(
    server: RegistryServer, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Null, markup, pages without end, a link to elsewhere: nothing is suggested, and nobody else is asked."""
    old = attested("linux/amd64", salt="tags")
    bodies = {"null": b'{"tags": null}', "markup": b"<html>", "endless": b'{"tags": ["1.0", 7]}'}

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        name = asked.path.split("/")[2]
        if "/tags/" in asked.path:
            link = f'<https://elsewhere.invalid/v2/{name}/tags/list?last={len(faults.asked)}>; rel="next"'
            writer.write(answer(200, bodies[name], link=link))
        else:
            writer.write(answer(200, old.root.body, content_type=old.root.media_type))

    async with FaultServer(authority, handle) as faults:
        images = {name: f"{faults.host}/{name}:1.0" for name in bodies}
        found = await report(tmp_path, authority, "--suggest-updates", "--sizes=none", **images)
        lists = [asked.path for asked in faults.asked if "/endless/tags/" in asked.path]
    assert {row["verdict"] for row in found["workloads"]} == {"Blocked"}
    assert len(lists) == 10
    assert server.requests() == []


async def test_an_index_without_sizes_has_its_verdict(authority: CertificateAuthority, tmp_path: Path) -> None:
    """Nodes run such an image, and the webhook decides on it: only how large it is can't be told, which is."""
    root = attested("linux/amd64", "linux/arm64", salt="sizeless").root
    body = json.loads(root.body)
    for entry in body["manifests"]:
        del entry["size"]

    async def handle(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, json.dumps(body).encode(), content_type=root.media_type))

    async with FaultServer(authority, handle) as faults:
        found = await report(tmp_path, authority, app=f"{faults.host}/sizeless:1")
        spared = await report(tmp_path, authority, "--sizes=none", app=f"{faults.host}/sizeless:1")
    assert [row["verdict"] for each in (found, spared) for row in each["workloads"]] == ["Ready", "Ready"]
    assert found["storage"] == {
        "bytes": None,
        "platforms": {},
        "images": 0,
        "passedOver": {"MalformedImage": 1},
    }
    assert spared["storage"] is None
