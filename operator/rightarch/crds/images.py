"""ImagePlatforms: what is known of an image.

Limits keep an object small: there is one for each image of a cluster.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from rightarch.api import CATEGORY
from rightarch.crds.definition import Definition
from rightarch.platforms import MAX_PLATFORMS
from rightarch.structural import rules

MAX_REFERENCE: Final = 768
"""Characters of a canonical reference: a host (253) and port, a repository (255), a sha512 digest (135)."""

MAX_SECRETS: Final = 32
"""Pull secrets of a pod that are considered."""
DNS_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

_REFERENCE: Final = (
    r"^[a-zA-Z0-9.:\[\]-]+/[a-z0-9._/-]+(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}|@sha(256|384|512):[0-9a-f]{64,128})$"
)
_DIGEST: Final = r"^sha(256|384|512):[0-9a-f]{64,128}$"
_PLATFORM: Final = r"^[a-z0-9._-]{1,63}(\([a-zA-Z0-9._-]{1,64}\))?/[a-z0-9._-]{1,63}(/[a-z0-9._-]{1,63})?$"
_WORD: Final = r"^[A-Za-z0-9]{1,63}$"
_HOST: Final = r"^[a-zA-Z0-9.:\[\]-]{1,263}$"


class _Model(BaseModel):
    """Fields are spelt in camelCase in objects. What a newer version added is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class ImagePlatformsSpec(_Model):
    """Which image, as whom: the identity of the object, from which its name is made. It never changes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self == oldSelf", "an object tells of one image; make another for another"),
            (
                "has(self.namespace) == (self.scope == 'Namespace')",
                "a namespace is named in the scope Namespace, and in no other",
            ),
            ("!has(self.pullSecrets) || has(self.namespace)", "pull secrets are those of a namespace"),
        )
    )

    scope: Literal["Anonymous", "Cluster", "Namespace"] = Field(
        description="Who may read the image, and so for whom the fact holds. Anonymous: everybody; it was read without "
        "a credential. Cluster: all pods; it was read with Rightarch's own identity. Namespace: pods of this namespace "
        "that name these pull secrets."
    )
    namespace: Annotated[str, StringConstraints(max_length=63, pattern=DNS_LABEL)] | None = Field(
        default=None, description="In the scope Namespace, its name."
    )
    pull_secrets: tuple[Annotated[str, StringConstraints(max_length=253, pattern=DNS_SUBDOMAIN)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SECRETS,
        description="In the scope Namespace, the names of the pods' pull secrets, sorted. Absent if they name none, "
        "and Rightarch's own identity answers in each namespace apart.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    reference: Annotated[str, StringConstraints(max_length=MAX_REFERENCE, pattern=_REFERENCE)] = Field(
        description="The image's canonical name: registry, repository, and a tag or a digest; with a digest the tag "
        "is left out, as in docker.io/library/nginx:1.27.",
    )


class ImagePlatformsStatus(_Model):
    """What was learnt of the image, and when."""

    digest: Annotated[str, StringConstraints(max_length=135, pattern=_DIGEST)] = Field(
        description="The digest of the index or manifest that the reference stood for when it was looked up."
    )
    platforms: tuple[Annotated[str, StringConstraints(max_length=260, pattern=_PLATFORM)], ...] = Field(
        max_length=MAX_PLATFORMS,
        description="What the image was built for, as OS/ARCHITECTURE[/VARIANT], normalised as containerd does and "
        "sorted; an OS version stands in parentheses, as in windows(10.0.17763)/amd64. Empty: an index without any "
        "image.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    indexed: bool = Field(
        description="Whether the platforms stand in an index, from which each node picks its own; otherwise the image "
        "is a single manifest, and its configuration says what it is for."
    )
    source: Annotated[str, StringConstraints(max_length=263, pattern=_HOST)] = Field(
        description="The host that was asked: the registry itself."
    )
    learned_at: AwareDatetime = Field(
        description="When the digest, or the end of a failure, was learnt. Confirmations are not written."
    )
    last_used: date = Field(
        description="The day (UTC) of the last use that was written, at most once a day. Objects that are not used "
        "any more may be deleted."
    )
    last_failure: Annotated[str, StringConstraints(max_length=63, pattern=_WORD)] | None = Field(
        default=None,
        description="The Reason for which the last look-up failed, such as RateLimited or ImageNotFound; absent if it "
        "succeeded. What was learnt before stays.",
    )


class ImagePlatforms(_Model):
    """What Rightarch knows of one image: the platforms that it was built for.

    Written by Rightarch after a look-up and shared by all of its replicas, so that none asks a registry for what
    another knows. To have an image looked up anew, delete its object. The names tell which images are in use, private
    ones too: give no access to whom that does not concern.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.metadata.name.matches('^[0-9a-f]{40}$')",
                "the name is 40 hexadecimal digits, made from scope and reference",
            ),
            (
                "!self.spec.reference.contains('@') || self.spec.reference.endsWith('@' + self.status.digest)",
                "the status has another digest than the reference",
            ),
        )
    )

    spec: ImagePlatformsSpec = Field(description="Which image, as whom: the identity of the object. It never changes.")
    status: ImagePlatformsStatus = Field(
        description="What was learnt of the image, and when. No subresource: it is written together with the spec."
    )


_COLUMNS: Final = (
    {"name": "Reference", "type": "string", "jsonPath": ".spec.reference"},
    {"name": "Platforms", "type": "string", "jsonPath": ".status.platforms"},
    {"name": "Scope", "type": "string", "jsonPath": ".spec.scope"},
    {"name": "Last used", "type": "string", "jsonPath": ".status.lastUsed"},
    {"name": "Failure", "type": "string", "jsonPath": ".status.lastFailure"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Namespace", "type": "string", "jsonPath": ".spec.namespace", "priority": 1},
    {"name": "Pull secrets", "type": "string", "jsonPath": ".spec.pullSecrets", "priority": 1},
    {"name": "Digest", "type": "string", "jsonPath": ".status.digest", "priority": 1},
    {"name": "Learned", "type": "date", "jsonPath": ".status.learnedAt", "priority": 1},
)

IMAGE_PLATFORMS: Final[Mapping[str, Any]] = {
    "kind": "ImagePlatforms",
    "listKind": "ImagePlatformsList",
    "plural": "imageplatforms",
    "singular": "imageplatforms",
    "shortNames": ["imgp"],
    "categories": [CATEGORY],
}

DEFINITION: Final = Definition(IMAGE_PLATFORMS, ImagePlatforms, _COLUMNS)
