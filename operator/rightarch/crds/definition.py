"""A definition: how a CustomResourceDefinition is made of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from rightarch.api import API_VERSION, GROUP, VERSION
from rightarch.structural import structural


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind of object.

    Attributes:
        names: as a CustomResourceDefinition has them.
        model: what an object holds.
        columns: what ``kubectl get`` prints.
        namespaced: whether objects are in namespaces.
        status: whether the status is a subresource: who may write the spec need not be who may write that.
    """

    names: Mapping[str, Any]
    model: type[BaseModel]
    columns: tuple[Mapping[str, object], ...]
    namespaced: bool = False
    status: bool = False

    @property
    def plural(self) -> str:
        """As paths spell the kind."""
        plural: str = self.names["plural"]
        return plural

    @property
    def path(self) -> str:
        """The collection of all objects of the cluster."""
        return f"/apis/{API_VERSION}/{self.plural}"

    def path_in(self, namespace: str) -> str:
        """The collection of one namespace."""
        return f"/apis/{API_VERSION}/namespaces/{namespace}/{self.plural}"

    def manifest(self) -> dict[str, Any]:
        """The CustomResourceDefinition."""
        version = {
            "name": VERSION,
            "served": True,
            "storage": True,
            "additionalPrinterColumns": [dict(column) for column in self.columns],
            "schema": {"openAPIV3Schema": structural(self.model)},
        }
        if self.status:
            version["subresources"] = {"status": {}}
        scope = "Namespaced" if self.namespaced else "Cluster"
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {"group": GROUP, "names": dict(self.names), "scope": scope, "versions": [version]},
        }
