"""How a secret may stand in what another program prints, each form made by other means than the product's own.

Run as a program it prints every form of every variable `S_*` of its environment, as a careless script would.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import os
import re
import shlex
import sys
import textwrap
import urllib.parse
from collections.abc import Callable

_GO_PATH = "$&+:=@-_.~"  # what Go's url.PathEscape leaves
_BROWSER = "!'()*-_.~"  # what encodeURIComponent leaves


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _wide(text: str, order: str) -> bytes:
    return text.encode(f"utf-16-{order}", errors="surrogatepass")


def _pairs(data: bytes) -> list[bytes]:
    return [data[place : place + 2] for place in range(0, len(data), 2)]


def _go_json(text: str) -> str:
    return (
        json.dumps(text, ensure_ascii=False)[1:-1]
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _b64(before: str, after: str = "", *, url: bool = False) -> Callable[[str], str]:
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return lambda text: encode(_raw(before + text + after)).decode()


def _lower_percent(text: str) -> str:
    quoted = urllib.parse.quote(_raw(text), safe="")
    return "".join(part.lower() if part.startswith("%") else part for part in _triples(quoted))


def _triples(quoted: str) -> list[str]:
    parts, place = [], 0
    while place < len(quoted):
        size = 3 if quoted[place] == "%" else 1
        parts.append(quoted[place : place + size])
        place += size
    return parts


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of Go": _go_json,
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"p": text})),
    "JSON of Go in JSON": lambda text: json.dumps(_go_json(text)),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "HTML": html.escape,
    "HTML of Go": lambda text: html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "XML text": lambda text: html.escape(text, quote=False),
    "XML attribute": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "hex": lambda text: binascii.hexlify(_raw(text)).decode(),
    "HEX": lambda text: binascii.hexlify(_raw(text)).decode().upper(),
    "hex with colons": lambda text: binascii.hexlify(_raw(text), ":").decode(),
    "hex of a C text": lambda text: "".join(f"\\x{byte:02x}" for byte in _raw(text)),
    "percent": lambda text: urllib.parse.quote(_raw(text), safe=""),
    "percent, lower case": _lower_percent,
    "percent in a path": lambda text: urllib.parse.quote(_raw(text)),
    "percent in a form": lambda text: urllib.parse.quote_plus(_raw(text)),
    "Go's QueryEscape": lambda text: urllib.parse.quote(_raw(text), safe="-_.~").replace("%20", "+"),
    "Go's PathEscape": lambda text: urllib.parse.quote(_raw(text), safe=_GO_PATH),
    "encodeURIComponent": lambda text: urllib.parse.quote(_raw(text), safe=_BROWSER),
    "Base64": _b64(""),
    "Base64 for URLs": _b64("", url=True),
    "Base64 without padding": lambda text: _b64("")(text).rstrip("="),
    "Basic auth, first alignment": _b64("bob:"),
    "Basic auth, second alignment": _b64("user:"),
    "Basic auth, third alignment": _b64("alice:"),
    "Basic auth for URLs": _b64("user:", url=True),
    "Base64 of JSON around it": _b64('{"auth":"', '"}'),
    "Base64 in lines of 76": lambda text: "\n".join(textwrap.wrap(_b64("")(text), 76)),
    "Base64 in lines of 64": lambda text: "\n".join(textwrap.wrap(_b64("")(text), 64)),
    "Base32": lambda text: base64.b32encode(_raw(text)).decode(),
    "Python": repr,
    "shell": shlex.quote,
    "HCL": lambda text: json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{"),
    "in a URL": lambda text: f"postgres://app:{urllib.parse.quote(_raw(text), safe='')}@db/x?a=1",
    "within a word": lambda text: f"xx{text}yy",
    "coloured": lambda text: f"\x1b[31m{text[: len(text) // 2]}\x1b[0m{text[len(text) // 2 :]}",
    "HTML by number": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "HTML by hex number": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "octal of a C text": lambda text: "".join(f"\\{byte:03o}" for byte in _raw(text)),
    "percent throughout": lambda text: "".join(f"%{byte:02x}" for byte in _raw(text)),
    "PERCENT throughout": lambda text: "".join(f"%{byte:02X}" for byte in _raw(text)),
    "UTF-16 by unit": lambda text: "".join(f"\\u{pair.hex()}" for pair in _pairs(_wide(text, "be"))),
    "Base64 of UTF-16": lambda text: base64.b64encode(_wide(text, "le")).decode(),
    "Base64 of UTF-16, second alignment": lambda text: base64.b64encode(b"a\0" + _wide(text, "le")).decode(),
    "hex of UTF-16": lambda text: _wide(text, "le").hex(),
    "Base85": lambda text: base64.b85encode(_raw(text)).decode(),
    "Ascii85": lambda text: base64.a85encode(_raw(text)).decode(),
    "escaped Unicode": lambda text: codecs.encode(text, "unicode_escape").decode(),
}


def _go_title(text: str) -> str:
    """Go's strings.Title: the first letter of each word; letters, digits and underscores are words."""
    return re.sub(r"(^|[^\w])(\w)", lambda found: found[1] + found[2].upper(), text, flags=re.ASCII)


# In another case or reversed, as functions of the engine and of shells make it.
CHANGED: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title of the engine": _go_title,
    "title of Python": str.title,
    "capitalized": str.capitalize,
    "swapped": str.swapcase,
    "reversed": lambda text: text[::-1],
}


def main() -> None:
    """Print every form of every secret."""
    for name, text in sorted(os.environ.items()):
        if name.startswith("S_"):
            for kind, form in FORMS.items():
                sys.stdout.buffer.write(f"{name} {kind}: {form(text)}\n".encode(errors="surrogateescape"))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
