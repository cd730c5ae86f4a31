"""Signed statements: in-toto statements (v1) in DSSE envelopes, as bytes that are hashed and stored.

The formats: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..base.files import canonical_json
from ..base.jsonvalue import JsonObject
from ..base.unseen import one_line
from . import keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .keys import PublicKey, SigningKey

STATEMENT = "application/vnd.in-toto+json"
HEAD = "application/vnd.doit-tofu.ledger-head+json"
Shown = Annotated[str, AfterValidator(one_line)]  # for people: whoever can write to a ledger may have written anything
_TYPE = "https://in-toto.io/Statement/v1"


def _public(text: str) -> str:
    if keys.decoded(text) is None:
        raise ValueError("it is not a public key")
    return text


PublicText = Annotated[str, AfterValidator(_public)]  # a public key as one line of Base64


class FormatError(ValueError):
    """The bytes do not have the expected format."""


class Part(BaseModel):
    """Base of everything read from a ledger: frozen; fields of newer formats are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Signature(Part):
    """One signature: which key made it, and the Base64 of its 64 bytes."""

    keyid: str
    sig: str


class Envelope(Part):
    """A payload and its signatures, which are empty if the ledger has no key."""

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[Signature, ...] = ()

    @property
    def content(self) -> bytes:
        """The payload.

        Raises:
            FormatError: It is not Base64.
        """
        return _decoded(self.payload)

    def signed_by(self, key: PublicKey) -> bool:
        """Whether this key made one of the signatures."""
        message = _encoding(self.payload_type, self.content)
        try:
            return any(
                key.verifies(_decoded(signature.sig), message)
                for signature in self.signatures
                if signature.keyid == key.id
            )
        except FormatError:
            return False

    def to_bytes(self) -> bytes:
        """The envelope as it is stored and hashed."""
        return canonical_json(self.model_dump(by_alias=True))


class Subject(Part):
    """What a statement is about: a stack, and the SHA-256 of the plan that was applied to it."""

    name: str
    digest: dict[str, str]


class Statement(Part):
    """An in-toto statement; the predicate is JSON, and `kind` is the URI that says what is in it."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...]
    kind: str = Field(alias="predicateType")
    predicate: JsonObject


def seal(content: bytes, payload_type: str, keys: Sequence[SigningKey]) -> Envelope:
    """An envelope around some bytes, signed with each key."""
    message = _encoding(payload_type, content)
    signatures = tuple(Signature(keyid=key.public.id, sig=base64.b64encode(key.sign(message)).decode()) for key in keys)
    return Envelope(payload=base64.b64encode(content).decode(), payloadType=payload_type, signatures=signatures)


def read(data: bytes, payload_type: str) -> Envelope:
    """Read an envelope.

    Raises:
        FormatError: It is not one, or has another payload type.
    """
    try:
        found = Envelope.model_validate_json(data)
    except ValidationError as error:
        raise FormatError(f"not an envelope: {_first(error)}") from None
    if found.payload_type != payload_type:
        raise FormatError(f"the payload type is {found.payload_type!r:.80}, not {payload_type!r}")
    if found.to_bytes() != data:
        raise FormatError("not in canonical form")
    return found


def read_statement(envelope: Envelope) -> Statement:
    """The statement in an envelope.

    Raises:
        FormatError: It does not contain one.
    """
    try:
        return Statement.model_validate_json(envelope.content)
    except ValidationError as error:
        raise FormatError(f"not a statement: {_first(error)}") from None


def content(subjects: Sequence[JsonObject], kind: str, predicate: JsonObject) -> bytes:
    """A statement as it is signed."""
    return canonical_json({"_type": _TYPE, "subject": subjects, "predicateType": kind, "predicate": predicate})


def verified(envelope: Envelope, keys: Collection[PublicKey]) -> PublicKey | None:
    """The first of these keys that signed the envelope; None if none did."""
    return next((key for key in keys if envelope.signed_by(key)), None)


def _encoding(payload_type: str, content: bytes) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(content), content)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("not Base64") from None


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, detail['loc'])) or 'it'}: {detail['msg']}"
