"""xDS resources: what a proxy is given, encoded once however many proxies get it.

Invariants: a `Resource` never changes; two resources with equal type, name and content are the same object while
either is in use; neither `repr` nor any error quotes what a secret holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

from conformance.protobuf import wire
from conformance.protobuf.messages import InvalidResource, packed, parse, type_url, unpack

__all__ = ["Reference", "Resource", "ResourceType", "encode"]


class ResourceType(Enum):
    """The resource types that the control plane serves; the value is the full name of the protobuf message.

    `type_url` stands in requests and responses. `listed_whole`: a state-of-the-world response has to list all of them,
    because absence means removal. `name_field` is the field that holds the resource's name.
    """

    LISTENER = "envoy.config.listener.v3.Listener"
    SCOPED_ROUTE = "envoy.config.route.v3.ScopedRouteConfiguration"
    ROUTE = "envoy.config.route.v3.RouteConfiguration"
    CLUSTER = "envoy.config.cluster.v3.Cluster"
    ENDPOINT = "envoy.config.endpoint.v3.ClusterLoadAssignment"
    SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 -- the name of a message
    EXTENSION_CONFIG = "envoy.config.core.v3.TypedExtensionConfig"

    # Members are looked up in dicts on every message; Enum's own hash, properties and repr are slow or long.
    __hash__ = object.__hash__

    def __init__(self, message: str) -> None:
        kind = message.rpartition(".")[2]
        self.type_url = type_url(message)
        self.listed_whole = kind in ("Listener", "Cluster", "ScopedRouteConfiguration")
        self.name_field = "cluster_name" if kind == "ClusterLoadAssignment" else "name"

    def __str__(self) -> str:
        return self.name


Reference = tuple[ResourceType, str]
ROUTE_NAMES = (("route_config_name", "routeConfigName"), ("route_configuration_name", "routeConfigurationName"))


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Resource:
    """One encoded resource.

    `digest` identifies type, name and content, in this run and in any other: delta clients get it as the resource's
    version, so that a control plane that lost its state does not send again what a proxy already holds. `references`
    are the resources that a proxy will ask for because of this one.
    """

    type: ResourceType
    name: str
    digest: str
    references: frozenset[Reference] = field(repr=False)
    # Field 2, both of a DiscoveryResponse and of the Resource in a DeltaDiscoveryResponse: tag, length, Any.
    encoded: bytes = field(repr=False)

    def fields(self) -> dict[str, Any]:
        """The content in protobuf JSON form, field names as in the `.proto`. Secrets are in it: not for evidence."""
        return unpack(wire.payload(self.encoded))


_in_use: WeakValueDictionary[str, Resource] = WeakValueDictionary()


def encode(kind: ResourceType, name: str, fields: Mapping[str, Any]) -> Resource:
    """The resource with this content; parsed only when no equal one is in use. The dict may be changed afterwards.

    Args:
        kind: its type.
        name: its name; the same must stand in its content.
        fields: the content in protobuf JSON form, field names as in the `.proto` or in lowerCamelCase.

    Raises:
        InvalidResource: the content does not fit the type, or has another name.

    """
    where = f"{kind.name.lower()} {name}"
    try:
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError):
        raise InvalidResource(
            "a resource may hold only what JSON can hold",
            where=where,
            next_step="convert paths, bytes, numbers and enums to plain JSON values first",
        ) from None  # the original error may quote a private value
    digest = blake2b(f"{kind.value}\0{name}\0{canonical}".encode(), digest_size=16).hexdigest()
    resource = _in_use.get(digest)
    if resource is None:
        message = parse(kind.value, fields, where=where)
        inside = getattr(message, kind.name_field)
        if inside != name:
            raise InvalidResource(
                f"its field {kind.name_field} says {inside!r}",
                where=where,
                next_step="give the resource the name under which it is set: a proxy looks it up by both",
            )
        references = frozenset(_references(kind, name, fields))
        resource = Resource(kind, name, digest, references, wire.field(2, packed(message)))
        _in_use[digest] = resource
    return resource


def _references(kind: ResourceType, name: str, fields: Mapping[str, Any]) -> Iterator[Reference]:
    if kind is ResourceType.CLUSTER and fields.get("type") == "EDS":
        discovery = _either(fields, "eds_cluster_config", "edsClusterConfig")
        service = _either(discovery, "service_name", "serviceName") if isinstance(discovery, Mapping) else None
        yield ResourceType.ENDPOINT, service if isinstance(service, str) and service else name
    yield from _nested_references(fields)


def _nested_references(value: object) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        for names in ROUTE_NAMES:
            route = _either(value, *names)
            if isinstance(route, str):
                yield ResourceType.ROUTE, route
        name = value.get("name")
        if isinstance(name, str):
            if _either(value, "sds_config", "sdsConfig") is not None:
                yield ResourceType.SECRET, name
            if _either(value, "config_discovery", "configDiscovery") is not None:
                yield ResourceType.EXTENSION_CONFIG, name
        for inner in value.values():
            yield from _nested_references(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _nested_references(inner)


def _either(value: Mapping[str, Any], name: str, camel_case_name: str) -> object:
    return value.get(name, value.get(camel_case_name))
