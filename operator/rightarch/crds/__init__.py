"""The custom resources of Rightarch: models that say what an object may hold, and their definitions.

The models are the one source: ``make generate`` writes the definitions to ``crds/`` and into the chart, and objects
that are read from a cluster are validated by the same models. Limits keep the cost of validation within what the API
server accepts. One noun a module::

    definition  how a CustomResourceDefinition is made of a model
    images      ImagePlatforms
    policies    ClusterArchitecturePolicy and ArchitecturePolicy
"""

from typing import Any, Final

from rightarch.api import API_VERSION, CATEGORY, GROUP, VERSION
from rightarch.crds.definition import Definition
from rightarch.crds.images import DEFINITION as IMAGES
from rightarch.crds.images import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    IMAGE_PLATFORMS,
    MAX_REFERENCE,
    MAX_SECRETS,
    ImagePlatforms,
    ImagePlatformsSpec,
    ImagePlatformsStatus,
)
from rightarch.crds.policies import ARCHITECTURE_POLICIES, CLUSTER_ARCHITECTURE_POLICIES

__all__ = [
    "API_VERSION",
    "ARCHITECTURE_POLICIES",
    "CATEGORY",
    "CLUSTER_ARCHITECTURE_POLICIES",
    "DNS_LABEL",
    "DNS_SUBDOMAIN",
    "GROUP",
    "IMAGE_PLATFORMS",
    "MAX_REFERENCE",
    "MAX_SECRETS",
    "VERSION",
    "Definition",
    "ImagePlatforms",
    "ImagePlatformsSpec",
    "ImagePlatformsStatus",
    "definitions",
]

_ALL: Final = IMAGES, CLUSTER_ARCHITECTURE_POLICIES, ARCHITECTURE_POLICIES


def definitions() -> dict[str, dict[str, Any]]:
    """All CustomResourceDefinitions, by the plural of their kind."""
    return {definition.plural: definition.manifest() for definition in _ALL}
