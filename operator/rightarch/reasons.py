"""Reasons: one documented word for each outcome, alike in labels, events, metrics, messages and tests."""

from rightarch.word import Word


class Reason(Word):
    """Why a pod was decided as it was, or why an image's platforms are not known.

    Each member carries ``meaning`` (one sentence for people), ``transient`` (whether asking again may help) and
    ``advice`` (what to do about it).
    """

    def __init__(self, value: str, meaning: str = "", transient: bool = False, advice: str = "") -> None:
        super().__init__(value, meaning)
        self.transient = transient
        self.advice = advice

    # Decisions: every image of the pod is known, or none was asked for.
    CONSTRAINED = (
        "Constrained",
        "Node affinity was narrowed to the architectures that all images support.",
        False,
        "Nothing: this is what Rightarch is for.",
    )
    ALREADY_CONSTRAINED = (
        "AlreadyConstrained",
        "The pod's own constraints already keep to what its images support.",
        False,
        (
            "Nothing. A constraint that was written by hand for the architecture's sake can go: Rightarch writes it "
            "where it is needed."
        ),
    )
    NO_COMMON_ARCHITECTURE = (
        "NoCommonArchitecture",
        "No architecture is supported by all images of the pod.",
        False,
        (
            "Build the image that the message names for an architecture of the others, or replace it. The pod is "
            "admitted as it is, and an image that does not fit its node fails there with `exec format error`."
        ),
    )
    CONFLICTING_CONSTRAINT = (
        "ConflictingConstraint",
        "The pod's own constraints admit no architecture that its images support.",
        False,
        (
            "Take the architecture out of the pod's nodeSelector or node affinity, or build the image for it. The pod "
            "was left as it is: where the constraint is right and the image's manifest is not, name what it runs on "
            "in `imageOverrides` of a policy."
        ),
    )
    NOT_ALLOWED = (
        "NotAllowed",
        "The pod can run on no architecture that its policy allows.",
        False,
        (
            "Build the images that the message names for an allowed architecture, take the architecture out of the "
            "pod's own constraints, or allow one more in the policy. By the policy's `onNotAllowed` the pod was left "
            "as it is, stays Pending, or was refused."
        ),
    )
    EMULATED = (
        "Emulated",
        "No architecture is supported by all images of the pod: it is kept to nodes that emulate one.",
        False,
        (
            "Build the image that the message names for an architecture of the others: emulated programs are several "
            "times slower, and some fail."
        ),
    )
    SKIPPED = (
        "Skipped",
        "The pod's place is none of Rightarch's business, as the message says.",
        False,
        (
            "Nothing. A pod that is bound to its node could only be stranded: a DaemonSet's pods are constrained by "
            "its template. Else a policy, a RuntimeClass or an annotation leaves the pod alone."
        ),
    )

    # Permanent failures of a look-up: asking again changes nothing until somebody acts.
    INVALID_REFERENCE = (
        "InvalidReference",
        "The image's name does not parse.",
        False,
        (
            "Correct the name; `rightarch image inspect` points at the character that can't be right. The kubelet "
            "will refuse it too (InvalidImageName)."
        ),
    )
    IMAGE_NOT_FOUND = (
        "ImageNotFound",
        "The registry does not have the image.",
        False,
        (
            "Push the image, or correct its name or tag. Rightarch asks again within a minute; a pod that exists "
            "already is not changed."
        ),
    )
    ACCESS_DENIED = (
        "AccessDenied",
        "The registry does not let the image be read with the credentials at hand.",
        False,
        (
            "Give the pod, or its ServiceAccount, a pull secret for the registry, or Rightarch an identity that may "
            "read there, as docs/private-images.md and docs/cloud-credentials.md say. Some registries answer so for "
            "images that don't exist."
        ),
    )
    NOT_AN_IMAGE = (
        "NotAnImage",
        "The reference names an artifact that is not a container image.",
        False,
        "Name an image: this is a chart, a signature or another artifact, and no node can run it.",
    )
    MALFORMED_IMAGE = (
        "MalformedImage",
        "The image's manifest, index or configuration breaks its specification.",
        False,
        (
            "Build and push the image again; the message says what is wrong with it. Until then `imageOverrides` of a "
            "policy can say what it runs on."
        ),
    )
    UNTRUSTED_REALM = (
        "UntrustedRealm",
        "The registry sends credentials to a token service that is not trusted.",
        False,
        (
            "If the token service that the message names is the registry's own, say so in `tokenRealms` of the "
            "registries' configuration, as docs/registries.md says. If not, somebody asks for credentials that are "
            "none of theirs."
        ),
    )
    ADDRESS_REFUSED = (
        "AddressRefused",
        "The registry's address is one that look-ups never contact.",
        False,
        (
            "Look-ups never go to the API server, to metadata services or to link-local and loopback addresses: "
            "correct the image's name, or its DNS."
        ),
    )

    # Transient failures of a look-up: a later one may succeed.
    UNRESOLVED = (
        "Unresolved",
        "The platforms of an image are not known in time.",
        True,
        (
            "See the Reason after it in the message. Nothing, if it was a matter of seconds; the look-up goes on, and "
            "the next pod finds it answered."
        ),
    )
    TIMED_OUT = (
        "TimedOut",
        "The registry did not answer in time.",
        True,
        (
            "Nothing, if it was a matter of seconds. If it lasts: is the registry slow, or out of reach from "
            "Rightarch's pods? A mirror in the registries' configuration helps."
        ),
    )
    RATE_LIMITED = (
        "RateLimited",
        "The registry refuses further requests for now.",
        True,
        "Wait, as the registry asks. Give Rightarch credentials with a higher limit, or a mirror, if it happens often.",
    )
    REGISTRY_UNREACHABLE = (
        "RegistryUnreachable",
        "No connection to the registry could be made.",
        True,
        (
            "Check DNS, network policies, proxies and the authority of the registry's certificate, as seen from "
            "Rightarch's pods; the message says how far it got."
        ),
    )
    REGISTRY_FAILED = (
        "RegistryFailed",
        "The registry answered with a fault of its own.",
        True,
        "Look at the registry: it answered with a 5xx, or broke off. Rightarch asks again by itself.",
    )
    LOOKUP_LIMIT = (
        "LookupLimit",
        "Too many images are being looked up already.",
        True,
        "Nothing: it is tried again. If it lasts, something makes pods with very many images, or a registry hangs.",
    )


class Note(Word):
    """Something worth knowing beside the Reason.

    Each member carries ``meaning`` (one sentence for people), ``warns`` (whether the pod's creator is told) and
    ``advice`` (what to do about it).
    """

    def __init__(self, value: str, meaning: str = "", warns: bool = False, advice: str = "") -> None:
        super().__init__(value, meaning)
        self.warns = warns
        self.advice = advice

    NO_CAPACITY = (
        "NoCapacity",
        "Neither a node nor a NodePool offers one of the architectures to the pod: it stays Pending until one does.",
        True,
        (
            "Look at what the message calls the nearest miss: let that NodePool have the architecture, add nodes, or "
            "have a policy tolerate the taint of the architecture's nodes. Name node groups that another autoscaler "
            "keeps at zero in a ClusterArchitecturePolicy, as `capacity.assume`."
        ),
    )
    STALE = (
        "Stale",
        "The registry of an image fails: what it said before, at most a day ago, is believed until it answers again.",
        False,
        "Look at the registry. Rightarch asks again by itself.",
    )
    ONLY_386 = (
        "Only386",
        "An image has linux/386 and not amd64: some amd64 nodes refuse to pull it.",
        True,
        "Build the image for linux/amd64.",
    )
    GATED = (
        "Gated",
        "A scheduling gate holds the pod until its images are known, or the policy's time for that has passed.",
        True,
        (
            "Nothing: it is released within seconds of the registry's answer, and at the latest after the policy's "
            "`gateTimeoutSeconds`. `rightarch release` ends the gate at once."
        ),
    )
    GATE_TIMED_OUT = (
        "GateTimedOut",
        "The pod's gate lasted as long as the policy lets it: an image is still not known.",
        True,
        "Look at the registry that the message names. The pod went on as the policy's `afterGate` says.",
    )
    ASSUMED = (
        "Assumed",
        "An image is not known: it was assumed to run on the architectures that the policy falls back to.",
        True,
        "Look at the Reason. What the image really supports was not asked.",
    )
    OVERRIDDEN = (
        "Overridden",
        "What an image runs on was taken from a policy, and not from its manifest.",
        False,
        "Nothing, as long as the policy's `imageOverrides` are true.",
    )
    PREFERENCE_KEPT = (
        "PreferenceKept",
        "The pod's own preferences among nodes left no room for the policy's.",
        False,
        (
            "Nothing. The policy's preference needs a pod that prefers no architecture itself, and whose other "
            "preferences have a weight above 1: it must stay lighter than they are."
        ),
    )
