"""Serving: a port, a server on it that leaves signals to its process, and the answers to probes and scrapes.

One noun a module, each importing only those above it::

    asgi          the types of an application
    health        probes and scrapes, answered
    port          a socket that has one
    transport     sends the head of an answer with its body
    connection    one connection, and what one may cost
    load          all connections of a server: what they hold together, and which gives way
    server        accepts connections, and looks after them
"""

from rightarch.serving.asgi import Receive, Scope, Send
from rightarch.serving.health import Health
from rightarch.serving.port import PortTaken, listening
from rightarch.serving.server import Server

__all__ = ["Health", "PortTaken", "Receive", "Scope", "Send", "Server", "listening"]
