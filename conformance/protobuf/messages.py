"""Envoy's protobuf messages from plain dicts, without any generated module.

The descriptors come from the file that the build hook writes, and live in a pool of their own: nothing here touches,
or is touched by, `envoy`, `google.rpc` or `opentelemetry` modules that the user may have installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from conformance.model.errors import SuiteFault, UsageError
from conformance.protobuf.scrubbing import private_values, scrub

__all__ = ["DynamicMessage", "InvalidResource", "message_class", "pack", "packed", "parse", "type_url", "unpack"]

# A message whose class is made from descriptors at run time: its attributes are its fields, unknown to a type checker.
DynamicMessage = Any

DESCRIPTORS = Path(__file__).with_name("descriptors.binpb")
TYPE_PREFIX = "type.googleapis.com/"
AVAILABLE_FIELDS = re.compile(r"\s*Available Fields.*", re.DOTALL)


class InvalidResource(UsageError):  # noqa: N818 -- it is a resource, said of it
    """A resource is not what its protobuf type says: `where` names the resource, the message names the field."""


@cache
def _pool() -> DescriptorPool:
    try:
        descriptors = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    except FileNotFoundError as problem:
        raise SuiteFault(
            "the protobuf descriptors of xDS are missing from this installation",
            where=str(DESCRIPTORS),
            next_step="install meshmark from a wheel, or run `pip install -e .` in the checkout: that writes it",
        ) from problem
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def message_class(full_name: str) -> type[Message]:
    """The class of the message `full_name`, such as `envoy.config.listener.v3.Listener`.

    Raises:
        InvalidResource: no such message is known to this version of meshmark.

    """
    try:
        descriptor = _pool().FindMessageTypeByName(full_name)
    except KeyError as problem:
        raise InvalidResource(
            f"unknown protobuf message {full_name!r}",
            next_step="check the spelling of the type; messages known are listed in protobuf/build_descriptors.py",
        ) from problem
    return GetMessageClass(descriptor)


def type_url(full_name: str) -> str:
    """The type URL of a message: what stands in `@type`."""
    return TYPE_PREFIX + full_name


def parse(name_of_type: str, fields: Mapping[str, Any], *, where: str | None = None) -> Message:
    """A message from its protobuf JSON form; nested `@type` objects are resolved.

    Args:
        name_of_type: full name or type URL.
        fields: the message as a plain dict.
        where: names the resource in the error, such as `cluster orders`.

    Raises:
        InvalidResource: a field is unknown or has a wrong value. The message never quotes private material.

    """
    message = message_class(name_of_type.removeprefix(TYPE_PREFIX))()
    try:
        json_format.ParseDict(dict(fields), message, descriptor_pool=_pool())
    except (json_format.ParseError, TypeError, ValueError) as problem:
        raise InvalidResource(
            scrub(AVAILABLE_FIELDS.sub("", str(problem)), private_values(fields)),
            where=where or name_of_type,
            next_step="compare the field with Envoy's API reference for this type",
        ) from None  # the original error may quote a private key
    return message


def pack(name_of_type: str, fields: Mapping[str, Any], *, where: str | None = None) -> bytes:
    """The message as an encoded `google.protobuf.Any`. Arguments and errors as for `parse`."""
    return packed(parse(name_of_type, fields, where=where))


def packed(message: Message) -> bytes:
    """A message as an encoded `google.protobuf.Any`. Equal messages always give the same bytes."""
    envelope: DynamicMessage = message_class("google.protobuf.Any")()
    envelope.type_url = TYPE_PREFIX + message.DESCRIPTOR.full_name
    envelope.value = message.SerializeToString(deterministic=True)
    return bytes(envelope.SerializeToString(deterministic=True))


def unpack(encoded: bytes) -> dict[str, Any]:
    """An encoded `google.protobuf.Any` in protobuf JSON form, field names as in the `.proto`; `@type` names the type.

    Raises:
        InvalidResource: these bytes are no `Any` of a known type.

    """
    try:
        message = message_class("google.protobuf.Any").FromString(encoded)
        return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=_pool())
    except (DecodeError, TypeError, json_format.Error) as problem:
        raise InvalidResource(
            scrub(str(problem)),
            where="an encoded google.protobuf.Any",
            next_step="check that both sides speak the same version of the xDS API",
        ) from None
