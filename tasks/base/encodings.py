"""How a secret may appear in another program's output: escaped, quoted, percent-encoded, hex, in another case."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_SAFE = ("", "/", "$&+,/:;=@", "$&+:=@", "$&+,;=", "!'()*", "!'()*/", ";,/?:@&=+$!*'()#")
_WIDTHS = (76, 64)  # line lengths of Base64: MIME and coreutils, PEM
_SHORTEST_LINE = 8
_UNESCAPED = re.compile(r"[A-Za-z0-9._~-]+")  # characters that no escaping changes


def encoded(text: str) -> Iterator[str]:
    """Every encoded form of a text, without the text itself; some appear twice.

    JSON and JSON within JSON, as Python and Go write it; HTML and XML; shell, HCL and Python literals; percent-encoding
    as Python, Go and browsers do it; hex; Base32, and Base64 at each offset in a longer
    text, as in `user:password`.
    """
    if not _UNESCAPED.fullmatch(text):
        yield from _escaped(text)
        yield from _percent(_bytes(text))
    for form in {text, *_json(text)}:  # also for a document that contains it
        yield from _binary(_bytes(form))
        yield from _numbered(form)


def recased(text: str) -> Iterator[str]:
    """A text in upper, lower and title case, as the engine and others change it, also within JSON."""
    yield from _others(text, text.upper(), text.lower(), "".join(map(_upper, text)), _title(text), text.capitalize(),
                       text.title(), text.swapcase())  # fmt: skip


def backwards(text: str) -> Iterator[str]:
    """A text reversed, also within JSON: by characters, and, as the engine's `strrev`, with what combines with them."""
    yield from _others(text, text[::-1], "".join(reversed(_clusters(text))))


def _others(text: str, *forms: str) -> Iterator[str]:
    for form in dict.fromkeys(forms):
        if form != text:
            yield form
            if not _UNESCAPED.fullmatch(form):
                yield from _json(form)


def _upper(letter: str) -> str:
    return letter if len(upper := letter.upper()) > 1 else upper


def _title(text: str) -> str:
    """Every letter after a separator in upper case, the others as they are."""
    parts = [_upper(letter) if place == 0 or _parts(text[place - 1]) else letter for place, letter in enumerate(text)]
    return "".join(parts)


def _parts(letter: str) -> bool:
    """Whether a word begins after it, as Go's `strings.Title` has it."""
    return not (letter.isalnum() or letter == "_") if letter.isascii() else letter.isspace()


def _clusters(text: str) -> list[str]:
    """Its characters, each with what combines with it."""
    parts: list[str] = []
    for letter in text:
        combines = unicodedata.category(letter) in ("Mn", "Me", "Mc") or letter == "\u200d"
        if parts and (combines or parts[-1].endswith("\u200d") or (parts[-1], letter) == ("\r", "\n")):
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def _numbered(text: str) -> Iterator[str]:
    """Every character by its number: in HTML, JSON, a C text, a URL; and UTF-16, as PowerShell has it."""
    for form in ("&#{};", "&#x{:x};", "&#x{:X};"):
        yield "".join(form.format(ord(letter)) for letter in text)
    wide = text.encode("utf-16-be", errors="surrogatepass")
    units = [wide[place : place + 2].hex() for place in range(0, len(wide), 2)]
    yield from ("".join(f"\\u{unit}" for unit in units), "".join(f"\\u{unit.upper()}" for unit in units))
    data = _bytes(text)
    yield "".join(f"\\{byte:03o}" for byte in data)
    yield from ("".join(f"%{byte:02x}" for byte in data), "".join(f"%{byte:02X}" for byte in data))
    for narrow in (text.encode("utf-16-le", errors="surrogatepass"), wide):
        yield from (narrow.hex(), narrow.hex().upper(), *_aligned(narrow, base64.b64encode, bits=6, block=3))
    yield from (base64.b85encode(data).decode(), base64.a85encode(data).decode())


def _binary(data: bytes) -> Iterator[str]:
    yield from (data.hex(), data.hex().upper(), data.hex(":"), data.hex(":").upper(), data.hex(" "))
    yield "".join(f"\\x{byte:02x}" for byte in data)
    yield from _aligned(data, base64.b32encode, bits=5, block=5)
    yield from _base64(data)


def _escaped(text: str) -> Iterator[str]:
    once = set(_json(text))
    twice = {other for form in once for other in _json(form)}
    yield from once | twice
    for form in {text, *once}:
        escaped = html.escape(form, quote=True)
        yield from (escaped, html.escape(form, quote=False), escaped.replace("&#x27;", "'"))
        yield escaped.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
        yield escaped.replace("&#x27;", "&#39;")
        yield escaped.replace("&#x27;", "&apos;")
        yield form.replace("${", "$${").replace("%{", "%%{")  # as the engine prints a text
    yield from (repr(text)[1:-1], shlex.quote(text)[1:-1], text.replace("'", "'\\''"), _shell(text))


def _json(text: str) -> Iterator[str]:
    """As a JSON text, without the quotes around it."""
    ascii_only, readable = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    yield from (ascii_only, readable, ascii_only.translate(_MARKUP), readable.translate(_MARKUP))
    yield readable.replace("/", "\\/")
    yield readable.replace("\\b", "\\u0008").replace("\\f", "\\u000c").translate(_MARKUP)  # older Go releases


def _shell(text: str) -> str:
    """As in double quotes of a shell."""
    for mark in ("\\", '"', "$", "`"):
        text = text.replace(mark, "\\" + mark)
    return text


def _percent(data: bytes) -> Iterator[str]:
    for safe in _SAFE:
        quoted = quote_from_bytes(data, safe=safe)
        yield from (quoted, quoted.replace("%20", "+"))
        lower = "%".join(
            [part[:2].lower() + part[2:] if index else part for index, part in enumerate(quoted.split("%"))]
        )
        yield from (lower, lower.replace("%20", "+"))


def _base64(data: bytes) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from _aligned(data, encode, bits=6, block=3)
        whole = encode(data).decode()
        for width in _WIDTHS:
            lines = [whole[place : place + width] for place in range(0, len(whole), width)]
            yield from (line for line in lines if len(lines) > 1 and len(line) >= _SHORTEST_LINE)


def _aligned(data: bytes, encode: Callable[[bytes], bytes], *, bits: int, block: int) -> Iterator[str]:
    """Bytes, encoded at each offset in a block of a longer text.

    Without a first or last character that also encodes bits of the neighbouring bytes.
    """
    yield encode(data).decode().rstrip("=")
    for before in range(block):
        whole = encode(bytes(before) + data).decode()
        yield whole[-(-before * 8 // bits) : (before + len(data)) * 8 // bits]


def _bytes(text: str) -> bytes:
    """The bytes of a text; environment variables may contain bytes that are not UTF-8."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
