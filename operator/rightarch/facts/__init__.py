"""Facts: what was learnt of images, kept in the cluster so that it outlives a process and all replicas share it.

Each is an object of the custom resource ImagePlatforms. Whoever looks an image up writes it, after the answer;
all replicas follow all of them, into the memory of the registry client. One noun a module, each importing only those
above::

    fact        a fact, its name, and how it is written in an object; pure
    calendar    the day that a last use is written by
    memory      what the cluster holds, as far as it was seen; teaches the registry client
    recorder    what is worth writing, and when: told by the registry client, asked by the writer
    writer      the requests, at a pace, with patience
    collector   deletes what nobody needs; for one process of the cluster
    facts       all of them together: the public face
"""

from rightarch.facts.calendar import DAY
from rightarch.facts.fact import Fact
from rightarch.facts.facts import Facts
from rightarch.facts.memory import PATH

__all__ = ["DAY", "PATH", "Fact", "Facts"]
