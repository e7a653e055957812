"""The registry client: from a reference to the platforms of its image.

The only package that speaks HTTP to registries. Follows what the author of a pod wrote, so every address is checked
where the connection is made. One noun a module, each importing only those above it::

    options · keychain · stats                values
    dockerconfig                              which credentials of a Docker configuration match an image
    login                                     the credentials of whoever runs a command
    proxies · endpoint                        through what, and where, a registry's images are asked for
    hosts · configuration                     which endpoints are configured, by containerd's files and by our own
    memory · places · turns · observer        what is remembered, under way, and next; who is told of it
    challenge · address · location · domain   what servers and pod authors name, and whether it may be followed
    failures                                  what went wrong, as ImageErrors
    circuit                                   hosts that fail, and are not asked for a while
    transport                                 one request, one bounded answer
    sender                                    whether a request is sent; equal ones once
    authorization                             tokens; a generator of requests
    client                                    one look-up; a generator of requests
    registry                                  cache, single-flight, limits: the public face
    cloud                                     credentials of clouds' registries, by a client of their own
"""

from rightarch.registry.keychain import (
    ANONYMOUS,
    BEARER,
    CLUSTER,
    IDENTITY,
    AnonymousKeychain,
    Chain,
    Credential,
    InMemoryKeychain,
    Keychain,
    Keys,
    Scoped,
    links,
    pull_scope,
)
from rightarch.registry.observer import Key, Observer
from rightarch.registry.options import RegistryOptions
from rightarch.registry.registry import Registry
from rightarch.registry.stats import Stats

__all__ = [
    "ANONYMOUS",
    "BEARER",
    "CLUSTER",
    "IDENTITY",
    "AnonymousKeychain",
    "Chain",
    "Credential",
    "InMemoryKeychain",
    "Key",
    "Keychain",
    "Keys",
    "Observer",
    "Registry",
    "RegistryOptions",
    "Scoped",
    "Stats",
    "links",
    "pull_scope",
]
