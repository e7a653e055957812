"""Objects through the plain REST interface of Kubernetes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .process import POLL_SECONDS

if TYPE_CHECKING:
    import httpx

Object = dict[str, Any]

FIELD_MANAGER = "rightarch-tests"
KIND_APPEARS_SECONDS = 30


class ApiError(Exception):
    """The API server refused; carries the status code and what it said."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        request = response.request
        super().__init__(f"{request.method} {request.url.path}: {self.status} {response.text.strip()}")


class Resources:
    """Finds the path of any object and applies it there."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def apply(self, item: Object) -> Object:
        """Create the object, or change the one there is (server-side apply); returns what the server has.

        An object with generateName instead of a name is created each time.
        """
        path = self.path(item)
        name = item["metadata"].get("name")
        if not name:
            return result(self._client.post(path, json=item))
        parameters = {"fieldManager": FIELD_MANAGER, "force": "true"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return result(self._client.patch(f"{path}/{name}", json=item, params=parameters, headers=headers))

    def path(self, item: Object) -> str:
        """The path of the collection that the object belongs to; its namespace is default if not named."""
        version = item["apiVersion"]
        plural, namespaced = self._kind(version, item["kind"])
        root = _root(version)
        if not namespaced:
            return f"{root}/{plural}"
        return f"{root}/namespaces/{item['metadata'].get('namespace', 'default')}/{plural}"

    def _kind(self, version: str, kind: str) -> tuple[str, bool]:
        """Plural and scope; waits a little for a kind whose definition was applied just now."""
        deadline = time.monotonic() + KIND_APPEARS_SECONDS
        while (version, kind) not in self._kinds:
            is_last = time.monotonic() > deadline
            self._discover(version)
            if (version, kind) in self._kinds:
                break
            if is_last:
                raise LookupError(f"the API server knows no kind {kind} in {version}")
            time.sleep(POLL_SECONDS)
        return self._kinds[version, kind]

    def _discover(self, version: str) -> None:
        response = self._client.get(_root(version))
        if not response.is_success:
            return
        for resource in response.json()["resources"]:
            if "/" not in resource["name"]:
                self._kinds[version, resource["kind"]] = (resource["name"], resource["namespaced"])


def result(response: httpx.Response) -> Object:
    """The object in a response.

    Raises:
        ApiError: the response is an error.
    """
    if not response.is_success:
        raise ApiError(response)
    item: Object = response.json()
    return item


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
