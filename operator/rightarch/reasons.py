"""Reasons: one documented word for each outcome, alike in labels, events, metrics, messages and tests."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a pod was decided as it was, or why an image's platforms are not known.

    Each member carries ``meaning`` (one sentence for people) and ``transient`` (whether asking again may help).
    """

    meaning: str
    transient: bool

    def __new__(cls, value: str, meaning: str = "", transient: bool = False) -> "Reason":  # noqa: PYI034 - the form that enum prescribes
        """Make a member that is its own label value and knows its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.transient = transient
        return member

    # Decisions: every image of the pod is known, or none was asked for.
    CONSTRAINED = "Constrained", "Node affinity was narrowed to the architectures that all images support."
    ALREADY_CONSTRAINED = (
        "AlreadyConstrained",
        "The pod's own constraints already keep to what its images support.",
    )
    NO_COMMON_ARCHITECTURE = "NoCommonArchitecture", "No architecture is supported by all images of the pod."
    CONFLICTING_CONSTRAINT = (
        "ConflictingConstraint",
        "The pod's own constraints admit no architecture that its images support.",
    )
    SKIPPED = (
        "Skipped",
        "The pod is bound to its node already; an architecture constraint could only strand it.",
    )

    # Permanent failures of a look-up: asking again changes nothing until somebody acts.
    INVALID_REFERENCE = "InvalidReference", "The image's name does not parse."
    IMAGE_NOT_FOUND = "ImageNotFound", "The registry does not have the image."
    ACCESS_DENIED = (
        "AccessDenied",
        "The registry does not let the image be read with the credentials at hand.",
    )
    NOT_AN_IMAGE = "NotAnImage", "The reference names an artifact that is not a container image."
    MALFORMED_IMAGE = (
        "MalformedImage",
        "The image's manifest, index or configuration breaks its specification.",
    )
    UNTRUSTED_REALM = (
        "UntrustedRealm",
        "The registry sends credentials to a token service that is not trusted.",
    )
    ADDRESS_REFUSED = "AddressRefused", "The registry's address is one that look-ups never contact."

    # Transient failures of a look-up: a later one may succeed.
    UNRESOLVED = "Unresolved", "The platforms of an image are not known in time.", True
    TIMED_OUT = "TimedOut", "The registry did not answer in time.", True
    RATE_LIMITED = "RateLimited", "The registry refuses further requests for now.", True
    REGISTRY_UNREACHABLE = "RegistryUnreachable", "No connection to the registry could be made.", True
    REGISTRY_FAILED = "RegistryFailed", "The registry answered with a fault of its own.", True
    LOOKUP_LIMIT = "LookupLimit", "Too many images are being looked up already.", True


class Note(StrEnum):
    """Something worth knowing beside the Reason.

    Each member carries ``meaning`` (one sentence for people) and ``warns`` (whether the pod's creator is told).
    """

    meaning: str
    warns: bool

    def __new__(cls, value: str, meaning: str = "", warns: bool = False) -> "Note":  # noqa: PYI034 - the form that enum prescribes
        """Make a member that is its own text and knows its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.warns = warns
        return member

    NO_NODE = "NoNode", "No node has one of the architectures now: the pod stays Pending until one joins."
    STALE = (
        "Stale",
        "The registry of an image fails: what it said before, at most a day ago, is believed until it answers again.",
    )
    ONLY_386 = "Only386", "An image has linux/386 and not amd64: some amd64 nodes refuse to pull it.", True
