"""Credentials of clouds: the identity that a cloud gives to this process, exchanged for passwords of its registries.

Each exchange takes two or three plain requests, to endpoints that are fixed or that the clouds' own environment
variables name. One noun a module, each importing only those above it::

    sigv4 · exchange            signatures; requests to yield, answers to read
    client · leases             who sends them; what came of it, for as long as it is good
    aws                         keys of an identity
    ecr · google · azure        credentials of registries
    keychain                    all of them, by the registry's host
"""

from rightarch.registry.cloud.keychain import CloudKeychain

__all__ = ["CloudKeychain"]
