"""The API group of Rightarch's custom resources."""

from typing import Final

GROUP: Final = "rightarch.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "rightarch"
"""What all kinds are listed by: ``kubectl get rightarch``."""
