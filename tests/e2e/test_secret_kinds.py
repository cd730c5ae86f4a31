"""Secrets of 60 kinds in 59 forms, pushed through plan, failing apply, drift, status and notifications: none is found.

A failing apply prints each in every form of `tests.secretforms`. Looked for are the secret and each of its lines, in
all that is printed, kept and sent, as it is and decoded: whoever can read a form can read the secret.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

import pytest

from tests import secretforms
from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.receivers import WebReceiver

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.c2lnbmF0dXJlLW9mLTQ3MTE"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBkg4ZcN\nqPEMLINETWO11+/==\n-----END EC PRIVATE KEY-----\n"

# How it reaches the product -> its kind -> the secret.
CONFIG = {  # `variables: {x: "${X}"}`, the variable is sensitive
    "quotes": "say \"friend\" and 'enter' 4711",
    "pem": PEM,
    "base64": "c2VjcmV0LWluLWJhc2U2NC00NzEx",
    "url_encoded": "p%40ss%2Fw%C3%B6rd%204711",
    "number_like": "4815162342",
    "short": "qZ7%",
    "unicode": "pässwörd-鍵-🔑-4711",
    "long": "L0ng" * 1500,
    "regex": r"^(a+)+$|[z-z]{4,7}\d.*?",
    "backslashes": r"C:\secret\new\table\4711",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c4711",
    "github": "ghp_4711abcdefABCDEF0123456789abcdefABCD",
    "aws_key": "AKIA4711EXAMPLE0ABCD",
    "slack_hook": "https://hooks.slack.test/services/T4711/B4711/XXXXXXXX4711",
    "connection": "Server=db;User Id=app;Password=p4711;Trusted=no",
    "bcrypt": "$2b$12$4711JhIexcDsALwCyNsGEuE4nJk5bF1Q9Y8uR2rWq3oP0mZxV1a2e",
    "apr1": "app:$apr1$4711abcd$0123456789abcdefghij./",
    "totp": "JBSWY3DPEHPK3PXP4711",
    "base58": "5Kb8kLf9zgWQnogidDA76MzPL6TsZZY36hWXMssSzNydYXYB9KF4711",
    "padding": "YWJjZGVmZ2g0NzExMTE==",
    "colons": "4711:aa:bb:cc:dd:ee",
    "sentence": "four thousand seven hundred and eleven is the number that nobody may say aloud 4711",
    "cyrillic": "пароль-4711-секрет",
    "emoji": "🔐🗝️4711🧨",
    "combining": "pässwörd-4711",
    "plus": "a+b+c+4711+d",
    "percent": "100%4711%zz%",
    "tilde": "~4711~user~",
    "semicolons": "a;4711;b,c&d=e",
    "quotes_only": "'4711'\"4711\"`4711`",
}
ENVIRONMENT = {  # TF_VAR_*
    "crlf": "crlf-first-4711\r\ncrlf-second-4712\r\n",
    "dash": "-rf --password=4711x",
    "markup": "<b>&amp;</b> `code` **bold** |4711| [x](y)",
    "padded": "   padded-4711   ",
    "hex": "deadbeefcafe00112233445566778899",
    "jwt": JWT,
    "template": "${not.filled} %{in} 4711",
    "url_in_url": "https://x.test/?u=https%3A%2F%2Fy.test%2F%3Ft%3D4711abc",
    "service_account": '{"type": "service_account", "private_key": "-----BEGIN-4711-----\\nMIIE4711\\n", "n": 4711}',
    "cookie": "session=4711abc.def; Path=/; HttpOnly",
    "sql": "SELECT '4711' FROM \"t\" WHERE a <> 'b'",
    "ssh_public": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI4711 me@host",
    "shell_words": "$(cat 4711) && `id` | tee; #4711",
    "equals": "KEY=4711=value==",
    "brackets": "[4711](not json {either",
    "unicode_escape": "\\u00e94711\\n\\x41",
    "pin": "471193",
    "negative": "-471100.25",
    "octal": "0o4711",
    "dots": "4711.4712.4713",
    "yaml": "a: 4711-x\nb:\n  - 4712-y\n",
    "xml": '<user pw="4711&amp;x">4712</user>',
    "pgp": "-----BEGIN PGP MESSAGE-----\n\nhQEMA4711abcdefghijklmnop\n=4711\n-----END PGP MESSAGE-----",
}
FILE: dict[str, Any] = {  # a var file
    "json_object": {"user": {"deep": "nested-deep-4711"}, "n": 90210471},
    "list": ["list-one-4711", ["list-two-4711"]],
    "in_map_keys": {"key-is-secret-4711": "ordinary-4711"},
    "deep": [{"a": [{"b": {"c": ["deep-list-4711"]}}]}],
    "numbers": [471100, 471101.5],
    "tabs": "tab\there\t4711",
}
DEFAULT = {  # the variable's own default
    "heredoc": "<<-EOT\n    here-doc-4711\n    here-doc-4712\n  EOT",
    "conditional": 'true ? "conditional-4711" : "otherwise-4711"',
    "interpolated": '"interpolated-${"part"}-4711"',
}
AMBIENT = {  # variables of the environment that are for backends, providers, forges
    "TF_HTTP_PASSWORD": "http-password-4711",
    "PGPASSWORD": "pg-password-4711",
    "AWS_SECRET_ACCESS_KEY": "aws/secret+access4711",
    "DATABASE_URL": "postgres://app:db-pass-4711@db.example.test/app",
    "GITLAB_TOKEN": "glpat-4711xyz4711xyz47",
}
EPHEMERAL = "ephemeral-4711-value"
KEY = "k3y0f1nc0m1ngh00ks26"
FUNCTIONS = ("base64encode", "urlencode", "upper", "lower", "title", "strrev")
EXPECTED = {
    "heredoc": ["here-doc-4711", "here-doc-4712"],
    "conditional": ["conditional-4711"],
    "interpolated": ["interpolated-part-4711"],
}


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            text for key, item in value.items() for text in [*_texts(item), *(_texts(key) if "4711" in key else [])]
        ]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]


def secrets() -> dict[str, list[str]]:
    """Each kind with the texts that must not be found."""
    found = {name: _texts(value) for name, value in {**CONFIG, **ENVIRONMENT, **FILE}.items()}
    found |= EXPECTED
    found |= {name: [value] for name, value in AMBIENT.items()}
    found["DATABASE_URL"].append("db-pass-4711")
    found |= {"ephemeral": [EPHEMERAL], "notify_url": [KEY]}
    return found


def _lines(text: str) -> set[str]:
    """A secret, and each of its lines that is one by itself."""
    lines = {line.strip() for line in text.splitlines()}
    return {text.strip(), *(line for line in lines if len(line) >= 4 and not line.startswith("-----"))} - {""}


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)")
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        mark = found[1]
        return chr(int(mark[1:], 16)) if len(mark) > 1 else _NAMED.get(mark, mark)

    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decoded(text: str) -> Iterator[bytes]:
    """What stands in a text as Base64 at any alignment, Base32 or hex."""
    for token in set(re.findall(r"[A-Za-z0-9+/_-]{6,}", text)):
        plain = token.replace("-", "+").replace("_", "/")
        for begin in range(4):
            part = plain[begin : begin + (len(plain) - begin) // 4 * 4]
            yield base64.b64decode(part)
            yield base64.b64decode(plain[begin:] + "A" * (-(len(plain) - begin) % 4))
    for token in set(re.findall(r"(?:[0-9a-fA-F]{2}[: ]?){4,}|(?:\\x[0-9a-f]{2})+", text)):
        digits = re.sub(r"\\x|[: ]", "", token)
        yield binascii.unhexlify(digits)
        yield binascii.unhexlify(digits[1:] + "0")
    for token in set(re.findall(r"[A-Z2-7]{8,}", text)):
        yield base64.b32decode(token[: len(token) // 8 * 8])


def _readings(text: str) -> Iterator[str]:
    """The text as whoever wants to can read it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    once = _unescaped(plain)
    yield from (text, plain, html.unescape(plain), unquote(plain), unquote_plus(plain), once, _unescaped(once))
    yield from (_unescaped(html.unescape(plain)), unquote(once), plain.replace("'\\''", "'").replace("'\"'\"'", "'"))
    yield plain.replace("$${", "${").replace("%%{", "%{")
    yield b"\n".join(_decoded(plain)).decode(errors="surrogateescape")
    yield b"\n".join(_decoded("".join(plain.split()))).decode(errors="surrogateescape")


def leaks(text: str) -> set[str]:
    """The kinds that can be read in a text."""
    readings = list(_readings(text))
    squeezed = "".join(text.split())
    found = set()
    for name, texts in secrets().items():
        for line in {line for item in texts for line in _lines(item)}:
            wrapped = "".join(line.split())
            if any(line in reading for reading in readings) or (len(wrapped) >= 8 and wrapped in squeezed):
                found.add(name)
            changed = {change(line) for change in secretforms.CHANGED.values()} if len(line) >= 8 else set()
            if any(other in reading for other in changed for reading in readings[:1]):
                found.add(name)
    return found


def _variable(name: str, kind: str, default: str = "", flag: str = "sensitive") -> str:
    more = f"  default   = {default}\n" if default else ""
    return f'variable "{name}" {{\n  type      = {kind}\n  {flag} = true\n{more}}}\n\n'


def _stack() -> str:
    names = [*CONFIG, *ENVIRONMENT, *FILE, *DEFAULT]
    parts = ['terraform {\n  backend "local" {}\n}\n\n']
    parts += [_variable(name, "any" if name in FILE else "string", DEFAULT.get(name, "")) for name in names]
    parts.append(_variable("ephemeral_one", "string", flag="ephemeral"))
    shown = {name: f"nonsensitive(var.{name})" for name in names}
    texts = {name: f"jsonencode({text})" if name in FILE else text for name, text in shown.items()}
    # A key that is secret would end the report by name.
    lines = "\n".join(f"    {name} = {texts[name] if name == 'in_map_keys' else text}" for name, text in shown.items())
    encoded = "\n".join(
        f"    {name} = [{', '.join(f'{function}({text})' for function in FUNCTIONS)}]" for name, text in texts.items()
    )
    handed = "\n".join(f"      S_{name} = {text}" for name, text in texts.items())
    said = " ".join(f'"$S_{name}"' for name in names)
    parts.append(
        f"""
resource "terraform_data" "leaks" {{
  input = {{
{lines}
  }}
  triggers_replace = {{
{encoded}
  }}

  provisioner "local-exec" {{
    command = "{{ printf '%s\\n' {said.replace('"', chr(92) + '"')}; env; python3 \\"$FORMS\\"; }} | tee \\"$EXPOSED\\"; test ! -e \\"$BROKEN\\""
    environment = {{
{handed}
    }}
  }}
}}

resource "terraform_data" "refuses" {{
  input = 1

  lifecycle {{
    precondition {{
      condition     = var.hex != "" && !fileexists("../../refuse")
      error_message = "it says ${{nonsensitive(var.quotes)}} and ${{nonsensitive(var.regex)}}"
    }}
  }}
}}

output "given" {{
  value     = var.jwt
  sensitive = true
}}

output "leaked" {{
  value = nonsensitive(var.pem)
}}
""".replace("input = 1", "input = 1")
    )
    parts.append("""
check "repeats" {
  assert {
    condition     = var.hex == "never"
    error_message = "the value is ${nonsensitive(var.markup)}, ${nonsensitive(var.in_map_keys)["key-is-secret-4711"]}"
  }
}

resource "terraform_data" "ephemeral" {
  provisioner "local-exec" {
    command = "echo $E"
    environment = {
      E = var.ephemeral_one
    }
  }
}
""")
    return "".join(parts)


@pytest.fixture
def repository(build: Callable[..., Repository], web: WebReceiver) -> Repository:
    config = "stacks:\n  a:\n    var_files: [secrets.tfvars.json]\n    variables:\n"
    config += "".join(f'      {name}: "${{CONFIG_{name.upper()}}}"\n' for name in CONFIG)
    config += (
        'notify:\n  - {name: chat, url: "${CHAT_URL}", on: [failure, drift, recovery, deploy]}\n'
        '  - {name: hook, kind: webhook, url: "${HOOK_URL}", secret: "${HOOK_SIGN}", on: [failure, drift, deploy]}\n'
    )
    made = build(minimal_config(config), f"stacks/a/main.tf:{_stack()}")
    made.write(f"stacks/a/secrets.tfvars.json:{json.dumps(FILE)}")
    made.variables = {
        **{f"CONFIG_{name.upper()}": value for name, value in CONFIG.items()},
        **{f"TF_VAR_{name}": value for name, value in ENVIRONMENT.items()},
        **AMBIENT,
        "BROKEN": str(made.home / "broken"),  # outside of the repository: no input of the stack
        "EXPOSED": str(made.home / "exposed"),
        "FORMS": secretforms.__file__,
        "TF_VAR_ephemeral_one": EPHEMERAL,
        "CHAT_URL": f"mmost://{web.address}/{KEY}",
        "HOOK_URL": f"http://{web.address}/hook/{KEY}",
        "HOOK_SIGN": "whsec_" + base64.b64encode(b"another-secret-to-sign-4711").decode(),
    }
    subprocess.run([str(made.tofu), "fmt", "stacks/a"], cwd=made.path, check=True, capture_output=True)
    return made


def test_none_of_sixty_secrets_in_any_form_is_found_anywhere(repository: Repository, web: WebReceiver) -> None:
    assert len(secrets()) >= 60
    assert len(secretforms.FORMS) >= 40
    found: dict[str, set[str]] = {}
    broken = repository.home / "broken"

    def look(where: str, text: str) -> None:
        if names := leaks(text):
            found.setdefault(where, set()).update(names)

    for arguments, obstacle, code in (
        (["plan"], "", 0), (["deploy"], "broken", 1), (["plan"], "refuse", 1), (["deploy"], "refuse", 1),
        (["deploy"], "", 0), (["drift"], "", None), (["status"], "", 0), (["info", "plan:a"], "", None),
        (["notify-test"], "", 0),
    ):  # fmt: skip
        (repository.path / "refuse").unlink(missing_ok=True)
        broken.unlink(missing_ok=True)
        if obstacle:
            (broken if obstacle == "broken" else repository.path / obstacle).touch()
        done = repository.doit(*arguments, code=code)
        look(f"output of {' '.join(arguments)}", done.out)
        if obstacle == "broken":
            assert "local-exec provisioner error" in done.out
            exposed = (repository.home / "exposed").read_bytes().decode()
            assert set(secrets()) - leaks(exposed) == set(), "the engine was never made to say these"
    for path in repository.path.joinpath(".deploy").rglob("*"):
        if path.is_file() and path.suffix != ".tfplan":
            look(path.relative_to(repository.path).as_posix(), path.read_bytes().decode(errors="surrogateescape"))
    posts = web.take()
    assert posts
    for post in posts:
        look("notification", post.body.decode())
    look("argv", "\n".join(repository.engine_calls()))
    assert found == {}
    assert leaks(json.dumps(repository.state("a"), ensure_ascii=False)) >= {"jwt", "hex", "base64"}
