"""Sends a signed JSON webhook as specified by Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: headers `webhook-id`,
`webhook-timestamp` (seconds since 1970) and `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256 of
`id.timestamp.body`; the secret is base64 behind `whsec_`. Any other secret is taken as its UTF-8 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from typing import TYPE_CHECKING, Any

from ..base import jsontext
from ..base.clock import now

if TYPE_CHECKING:
    from .channels import Channel
    from .memory import Message

_PREFIX = "whsec_"


def send(channel: Channel, message: Message, data: dict[str, Any], title: str, body: str) -> str:
    """Post one message; returns what went wrong without the URL, or an empty text.

    Args:
        channel: The channel.
        message: The message.
        data: Its content for machines, ready for JSON.
        title: Its title for people.
        body: Its body for people.
    """
    import requests

    from ..base.http import cause
    from ..base.session import Session

    payload = {"type": message.event, "timestamp": now(), "data": {**data, "title": title, "text": body}}
    content = jsontext.dumps(payload, ensure_ascii=False).encode(errors="replace")
    try:
        headers = signed_headers(channel.secret, content)
        with Session() as session, session.post(
            channel.url, data=content, headers=headers, timeout=channel.settings.timeout,
            allow_redirects=False, stream=True,
        ) as response:  # fmt: skip
            status = response.status_code
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
        return f"{channel.settings.url} does not contain an http or https URL"
    except requests.RequestException as error:
        return f"cannot be reached: {cause(error)}"  # without the URL, which is a secret
    except binascii.Error:
        return f"{channel.settings.secret} does not contain base64 after {_PREFIX}"
    return "" if requests.codes.ok <= status < requests.codes.multiple_choices else f"the response has status {status}"


def signed_headers(secret: str, content: bytes) -> dict[str, str]:
    """The headers of a request with this content.

    Raises:
        binascii.Error: The secret has the specification's prefix, but no base64 after it.
    """
    identifier, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    key = base64.b64decode(secret[len(_PREFIX) :], validate=True) if secret.startswith(_PREFIX) else secret.encode()
    signed = hmac.digest(key, b".".join((identifier.encode(), timestamp.encode(), content)), hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
