"""The report of a large cluster: each workload costs what it costs in a small one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rightarch.cli import report_text
from rightarch.cli.report_page import page
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.report.case import Question
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import Nodes
from rightarch.report.report import Origin, Report, make
from tests.support.calls import growth

if TYPE_CHECKING:
    from collections.abc import Callable

OLD = ImagePlatforms("sha256:0", (Platform("linux", "amd64"),), indexed=True)


def asked(count: int) -> tuple[Inventory, Question]:
    """So many workloads, each in a namespace of its own, which one image holds back beside another one of their own."""
    inventory, images = Inventory(), {"mesh": OLD}
    for number in range(count):
        own, resources = f"app-{number}", {"requests": {"cpu": "100m"}}
        images[own] = OLD
        containers = [{"name": name, "image": name, "resources": resources} for name in (own, "mesh")]
        metadata = {"name": own, "namespace": f"team-{number}", "uid": own}
        inventory.add_pod({"metadata": metadata, "spec": {"containers": containers[number % 2 :]}})
    return inventory, Question("arm64", images, Nodes())


def report(count: int) -> Report:
    """The report on them."""
    inventory, question = asked(count)
    return make(inventory.workloads(), question, Origin("context large", time="2026-11-23T15:00:00Z"))


def test_judging_grows_with_the_workloads_and_no_faster() -> None:
    """From the objects to the finished value."""
    assert growth(lambda count: lambda: report(count)) < 2.2


@pytest.mark.parametrize("output", ["html", "table", "wide", "markdown", "csv", "json"])
def test_showing_grows_with_the_workloads_and_no_faster(output: str) -> None:
    """In each form; the page has rows, namespaces and what each image holds back."""

    def show(count: int) -> Callable[[], object]:
        made = report(count)
        return lambda: page(made) if output == "html" else report_text.text(made, output, to_file=True)

    assert growth(show) < 2.2
