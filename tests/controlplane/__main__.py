"""`python -m tests.controlplane`: find or build every component, and say where it is.

Exit status: 0 if all are there, 1 if one can't be had, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys

from .binaries import find
from .components import COMPONENTS
from .report import say
from .toolchain import BuildError
from .workshop import Workshop


def main() -> int:
    """Find or build all components; returns the exit status."""
    try:
        provide_all()
    except (BuildError, OSError) as error:
        say(f"The control plane is not complete: {error}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted; what was built so far is kept")
        return 130
    return 0


def provide_all() -> None:
    """Find or build all components, and tell about each."""
    found = {name: find(component, say) for name, component in COMPONENTS.items()}
    missing = [COMPONENTS[name] for name, program in found.items() if not program]
    if missing:
        minutes = max(1, round(sum(component.seconds for component in missing) / 60))
        names = ", ".join(component.name for component in missing)
        say(f"To be built, once: {names}; usually {minutes} min in all on 2 cores, some GiB of disk meanwhile")
    with Workshop() as workshop:
        for component in missing:
            found[component.name] = workshop.provide(component)
    for name, program in found.items():
        say(f"{name:24} {program}")


if __name__ == "__main__":
    sys.exit(main())
