"""The real helm, with files of its own alone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.controlplane import binary

if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "rightarch"
STRANGERS = ("HELM_", "KUBECONFIG")


class HelmError(Exception):
    """A helm command failed; carries what it wrote to standard error."""


@dataclass(frozen=True)
class Helm:
    """Runs helm.

    Attributes:
        folder: where it keeps its caches.
        kubeconfig: of the cluster that it works on; none for commands that need no cluster.
    """

    folder: Path
    kubeconfig: Path | None = None

    def run(self, *args: str, values: Mapping[str, object] | None = None) -> str:
        """Run a command; returns its standard output.

        Args:
            args: the command.
            values: values of the chart, for commands that take some.

        Raises:
            HelmError: it failed.
        """
        more = ["--values=-"] if values is not None else []
        done = subprocess.run(
            [binary("helm"), *args, *more],
            input=json.dumps(values),  # JSON is YAML
            text=True,
            capture_output=True,
            check=False,
            env=self._environment,
        )
        if done.returncode:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def template(self, release: str, namespace: str, values: Mapping[str, object], *args: str) -> list[Object]:
        """The objects that the chart renders.

        Raises:
            HelmError: it refuses the values.
        """
        text = self.run("template", release, str(CHART), f"--namespace={namespace}", *args, values=values)
        return [item for item in yaml.safe_load_all(text) if item]

    @property
    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)}
        folders = {f"HELM_{name}_HOME": str(self.folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        return own | folders | ({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})
