"""Thirty secrets of different kinds, pushed through plan, failing apply, drift, status and notifications: none is found.

Looked for are the text itself, each of its lines, and both as JSON (also as Go writes it), base64 and percent-encoded.
"""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable

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
}
ENVIRONMENT = {  # TF_VAR_*
    "crlf": "crlf-first-4711\r\ncrlf-second-4712\r\n",
    "dash": "-rf --password=4711x",
    "markup": "<b>&amp;</b> `code` **bold** |4711| [x](y)",
    "padded": "   padded-4711   ",
    "hex": "deadbeefcafe00112233445566778899",
    "jwt": JWT,
    "template": "${not.filled} %{in} 4711",
}
FILE: dict[str, Any] = {  # a var file
    "json_object": {"user": {"deep": "nested-deep-4711"}, "n": 90210471},
    "list": ["list-one-4711", ["list-two-4711"]],
    "in_map_keys": {"key-is-secret-4711": "ordinary-4711"},
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


def _forms(text: str) -> set[str]:
    lines = {line.strip() for line in text.splitlines()}
    plain = {text, text.strip(), *(line for line in lines if not line.startswith("-----"))}
    forms = set()
    for form in plain - {""}:
        go = json.dumps(form)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        forms |= {form, json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], go}
        forms |= {base64.b64encode(form.encode()).decode().rstrip("="), quote(form, safe="")}
    return forms


def leaks(text: str) -> set[str]:
    """The kinds that are found in a text."""
    return {name for name, texts in secrets().items() if any(form in text for item in texts for form in _forms(item))}


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
    lines = "\n".join(f"    {name} = {text}" for name, text in shown.items())
    encoded = "\n".join(f"    {name} = [base64encode({text}), urlencode({text})]" for name, text in texts.items())
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
    command = "{{ printf '%s\\n' {said.replace('"', chr(92) + '"')}; env; }} | tee \\"$EXPOSED\\"; test ! -e \\"$BROKEN\\""
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
        "TF_VAR_ephemeral_one": EPHEMERAL,
        "CHAT_URL": f"mmost://{web.address}/{KEY}",
        "HOOK_URL": f"http://{web.address}/hook/{KEY}",
        "HOOK_SIGN": "whsec_" + base64.b64encode(b"another-secret-to-sign-4711").decode(),
    }
    subprocess.run([str(made.tofu), "fmt", "stacks/a"], cwd=made.path, check=True, capture_output=True)
    return made


def test_none_of_thirty_secrets_is_found_anywhere(repository: Repository, web: WebReceiver) -> None:
    assert len(secrets()) >= 30
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
