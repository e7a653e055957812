"""Prometheus: prices by the metrics that Karpenter shows of what it may buy.

Karpenter tells price, vCPUs and memory by instance type, not the architecture: that is what the cluster's own Nodes of
the type have, and for those it has none of, what AWS's way to name instance types says (a ``g`` among the letters after
the generation's number is Graviton; so is ``a1``). Types of which neither tells are left out.

Sources: https://karpenter.sh/docs/reference/metrics/, Prometheus' HTTP API (``/api/v1/query``),
https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from rightarch.errors import RightarchError, SettingsError
from rightarch.report.nodes import Nodes
from rightarch.report.prices import Offering, PriceList, positive

PRICES: Final = "karpenter_cloudprovider_instance_type_offering_price_estimate"
CPUS: Final = "karpenter_cloudprovider_instance_type_cpu_cores"
MEMORY: Final = "karpenter_cloudprovider_instance_type_memory_bytes"
SECONDS: Final = 30.0
MAX_BYTES: Final = 64 * 2**20
_AWS_TYPE: Final = re.compile(
    r"(?P<series>[a-z]+)(?P<generation>[0-9]+)(?P<options>[a-z]*)(?:-[a-z0-9-]+)?\.[a-z0-9-]+"
)

Sample = tuple[Mapping[str, str], float]


async def prices(url: str, nodes: Nodes, seconds: float = SECONDS) -> PriceList:
    """The prices that a Prometheus knows of Karpenter.

    Args:
        url: the server's, with whatever path is before ``/api/v1``; a name and password may be in it.
        nodes: those of the cluster, which show the architecture of their types.
        seconds: to wait for the answer to one query, as a whole.

    Raises:
        RightarchError: it can't be asked, or has no such metrics.
        SettingsError: the URL is none.
    """
    shown = check(url)
    async with httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client:
        asking = _Asking(client, url, shown, seconds)
        told, cpus, memory = [await asking.query(metric) for metric in (PRICES, CPUS, MEMORY)]
    found = PriceList.of(f"Karpenter's metrics of {shown}", _offerings(told, _by_type(cpus), _by_type(memory), nodes))
    if not found.offerings:
        raise RightarchError(
            f"--prometheus {shown} has no prices: no {PRICES} of an instance type whose architecture is known; "
            "is Karpenter scraped, and is it a provider that tells prices?"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Asking:
    """A server that is asked.

    Attributes:
        shown: its URL for people.
        seconds: to wait for one answer.
    """

    client: httpx.AsyncClient
    url: str
    shown: str
    seconds: float

    async def query(self, metric: str) -> list[Sample]:
        """The samples of a metric.

        Raises:
            RightarchError: why there is no telling.
        """
        try:
            async with asyncio.timeout(self.seconds):
                status, body = await self._answer(metric)
        except TimeoutError:
            raise self._failed(f"has not answered within {self.seconds:g} s; --timeout lets it take longer") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(f"can't be asked: {str(error) or type(error).__name__}") from None
        if status != 200:
            raise self._failed(f"answers with status {status}: is it a Prometheus?")
        try:
            return list(_samples(orjson.loads(body)))
        except (orjson.JSONDecodeError, LookupError, AttributeError, TypeError, ValueError):
            raise self._failed("answers with what is no result of a query") from None

    async def _answer(self, metric: str) -> tuple[int, bytes]:
        """The status and the body; a body is read no further than it may go."""
        address, body = f"{self.url.rstrip('/')}/api/v1/query", bytearray()
        async with self.client.stream("GET", address, params={"query": metric}) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise self._failed(f"answers with more than {MAX_BYTES >> 20} MiB")
        return response.status_code, bytes(body)

    def _failed(self, what: str) -> RightarchError:
        return RightarchError(f"--prometheus {self.shown} {what}")


def _samples(answer: Any) -> Iterator[Sample]:  # noqa: ANN401 - JSON
    """The samples of an instant vector, as far as they are finite and above zero."""
    for each in answer["data"]["result"]:
        labels, value = {str(k): str(v) for k, v in each["metric"].items()}, positive(str(each["value"][1]))
        if value is not None:
            yield labels, value


def _by_type(samples: Iterable[Sample]) -> Mapping[str, float]:
    return {labels["instance_type"]: value for labels, value in samples if "instance_type" in labels}


def _offerings(
    told: Iterable[Sample], cpus: Mapping[str, float], memory: Mapping[str, float], nodes: Nodes
) -> Iterator[Offering]:
    seen = {node.instance_type: node.architecture for node in nodes if node.instance_type}
    for labels, price in told:
        name = labels.get("instance_type", "")
        architecture = seen.get(name) or architecture_of(name)
        if architecture and name in cpus and name in memory:
            zone, capacity_type = labels.get("zone", ""), labels.get("capacity_type", "")
            yield Offering(price, name, architecture, cpus[name], memory[name] / 2**30, zone, capacity_type)


def architecture_of(instance_type: str) -> str:
    """The architecture of an instance type by AWS's way to name them; empty for names of another form."""
    match = _AWS_TYPE.fullmatch(instance_type)
    if match is None:
        return ""
    graviton = "g" in match["options"] or (match["series"], match["generation"]) == ("a", "1")
    return "arm64" if graviton else "amd64"


def check(url: str) -> str:
    """The URL of a server, without the name and password that may be in it.

    Raises:
        SettingsError: it is none, which is told without it: a password may be in it.
    """
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        parts, named = urlsplit(""), False
    if not named:
        raise SettingsError("--prometheus: this is no URL such as http://prometheus.example:9090")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
