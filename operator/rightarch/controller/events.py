"""Events of the controller: about the objects that it has read."""

from collections.abc import Mapping
from typing import Any

from rightarch import events
from rightarch.controller.workloads import Kind
from rightarch.events import Event, Regarding, owner_of

__all__ = ["Event", "Events"]


class Events(events.Events):
    """Writes Events of objects of any kind."""

    async def tell(self, kind: Kind, thing: Mapping[str, Any], event: Event) -> None:
        """Have something said about an object, or about the owner of a pod, unless that was said in this hour."""
        metadata = thing["metadata"]
        about = Regarding(kind.api_version, kind.name, metadata["namespace"], metadata["name"], metadata["uid"])
        if kind.name == "Pod":
            about = owner_of(thing, about.namespace) or about
        self.say(about, event)
