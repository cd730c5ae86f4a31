"""Changes that are made outside of the engine to what real providers have deployed, and how each is to be reported.

`docs/drift-cases.md` is this table; `tests/unit/test_drift_cases.py` compares them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

OWN, KUBERNETES, LOCAL = "own", "kubernetes", "local"
LONG = "x" * 4000
BIG = 12345678901234567890


@dataclass(frozen=True)
class Case:
    """A change outside.

    Args:
        what: It, for people.
        code: The stack's code that it concerns.
        address: The address that is to be reported.
        change: What becomes of the object: values to merge into it; None if it is deleted.
        kind: The class that is to be reported.
        path: The attribute that is to be reported; empty for a whole resource.
        shown: What the report shows of it outside (`-`) and in the code (`+`).
        object: The object's name, or its path in the API.
        follows: What else is reported because of it: the address and its class.
    """

    what: str
    code: str
    address: str
    change: Any
    kind: str = "changed"
    path: str = ""
    shown: tuple[str, ...] = ()
    object: str = ""
    follows: dict[str, str] = field(default_factory=dict)


def _own(what: str, name: str, body: str, change: Any, *reported: str, **more: Any) -> Case:
    """A case of the own provider, whose object has the name of its resource; first comes the attribute's path."""
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    code = f'resource "own_thing" "{name}" {{\n  name = "{name}"\n{indented}}}\n'
    return _raw(what, name, code, f"own_thing.{name}", change, *reported, **more)


def _raw(what: str, name: str, code: str, address: str, change: Any, *reported: str, **more: Any) -> Case:
    """A case whose code is written out."""
    kind = more.pop("kind", "deleted" if change is None else "changed")
    path, shown = "".join(reported[:1]), reported[1:]
    return Case(what, code, address, change, kind, path, shown, name, **more)


NESTED = {"key": "a", "number": 1, "value": None}
BLOCK = {"port": 80, "any": "a"}
OWN_CASES = [
    _own("a text changed", "text", 'text = "a"', {"text": "b"}, "text", '- text = "b"', '+ text = "a"'),
    _own("null became an empty text", "emptied", "", {"text": ""}, "text", '- text = ""'),
    _own("a text was unset", "unset", 'text = "a"', {"text": None}, "text", '+ text = "a"'),
    _own("a character of a text of 4,000", "long", f'text = "{LONG}"', {"text": LONG[:-1] + "y"}, "text"),
    _own("a text beyond ASCII", "unicode", 'text = "ä ☃"', {"text": "ä ☂"}, "text", '- text = "ä ☂"', '+ text = "ä ☃"'),
    _own("lines of a text", "lines", 'text = "a\\nb\\n"', {"text": "a\nc\n"}, "text", "- c", "+ b"),
    _own("only the case of a text", "cased", 'text = "Standard"', {"text": "STANDARD"}, "text",
         '- text = "STANDARD"', "only upper and lower case differ"),
    _own("a number", "number", "number = 1", {"number": 2}, "number", "- number = 2", "+ number = 1"),
    _own("the last digit of a large number", "large", f"number = {BIG}", {"number": BIG + 1}, "number",
         f"- number = {BIG + 1}", f"+ number = {BIG}"),
    _own("a fraction", "fraction", "number = 0.5", {"number": 0.25}, "number", "- number = 0.25", "+ number = 0.5"),
    _own("true became false", "flag", "flag = true", {"flag": False}, "flag", "- flag = false", "+ flag = true"),
    _own("an element of a list", "element", 'list = ["a", "b"]', {"list": ["a", "c"]}, "list[1]", '"c"', '"b"'),
    _own("an element added to a list", "longer", 'list = ["a"]', {"list": ["a", "b"]}, "list", '- list[1] = "b"'),
    _own("the order of a list", "order", 'list = ["a", "b"]', {"list": ["b", "a"]}, "", "only the order differs"),
    _own("an element added to a set", "set", 'set = ["a", "b"]', {"set": ["b", "x", "a"]}, "set", '"x"'),
    _own("a value of a map", "tag", 'tags = { owner = "a" }', {"tags": {"owner": "b"}}, "tags.owner",
         '- tags.owner = "b"', '+ tags.owner = "a"'),
    _own("a key added to a map", "tagged", 'tags = { a = "1" }', {"tags": {"a": "1", "b c": "2"}}, 'tags["b c"]',
         '- tags["b c"] = "2"'),
    _own("all of a map removed", "untagged", 'tags = { a = "1" }', {"tags": None}, "tags", '+ tags.a = "1"'),
    _own("an attribute of an object", "object", 'object = { a = "x", b = 1 }', {"object": {"a": "x", "b": 2}},
         "object.b", "- object.b = 2", "+ object.b = 1"),
    _own("a policy, as JSON text", "policy", 'policy = jsonencode({ S = [{ E = "Deny" }] })',
         {"policy": '{"S": [{"E": "Allow"}]}'}, "policy", '"Allow"', '"Deny"'),
    _own("a value that a provider compares without case", "tier", 'tier = "basic"', {"tier": "Premium"}, "tier",
         '- tier = "Premium"', '+ tier = "basic"'),
    _own("a sensitive value", "secret", 'secret = "swordfish-1"', {"secret": "swordfish-2"}, "secret"),
    _own("an optional attribute that the provider otherwise computes", "size", 'size = "large"', {"size": "huge"},
         "size", '- size = "huge"', '+ size = "large"'),
    _own("what forces a replacement", "renamed", "", {"name": "renamed-by-hand"}, "name", "forces replacement"),
    _own("a nested attribute", "one", 'one = { key = "a", number = 1 }', {"one": {**NESTED, "key": "b"}}, "one.key",
         '- one.key = "b"', '+ one.key = "a"'),
    _own("a list of nested attributes", "several", 'several = [{ key = "a", number = 1 }]',
         {"several": [{**NESTED, "number": 2}]}, "several[0].number", "- several[0].number = 2"),
    _own("a set of nested attributes, one of them sensitive", "some", 'some = [{ key = "a", number = 1 }]',
         {"some": [{**NESTED, "key": "b"}]}, "some", "- some = (sensitive value)"),
    _own("a map of nested attributes", "named", 'named = { "x.y" = { key = "a", number = 1 } }',
         {"named": {"x.y": {**NESTED, "number": 2}}}, 'named["x.y"].number', '- named["x.y"].number = 2'),
    _own("a sensitive part of a nested attribute", "inner", 'one = { key = "a", number = 1, value = "swordfish-3" }',
         {"one": {**NESTED, "value": "swordfish-4"}}, "one.value"),
    _own("a block of a set", "rule", 'rule {\n  port = 80\n  any = "a"\n}', {"rule": [{**BLOCK, "port": 22}]},
         "rule[0].port", "- rule[0].port = 22", "+ rule[0].port = 80"),
    _own("a block added to a set", "rules", 'rule {\n  port = 80\n  any = "a"\n}',
         {"rule": [BLOCK, {"port": 22, "any": "0.0.0.0/0"}]}, "rule", '"0.0.0.0/0"'),
    _own("a block of a list", "step", 'step {\n  port = 80\n  any = "a"\n}', {"step": [{**BLOCK, "any": "b"}]},
         "step[0].any", '- step[0].any = "b"', '+ step[0].any = "a"'),
    _own("all blocks of a set removed", "norule", 'rule {\n  port = 80\n  any = "a"\n}', {"rule": []}, "rule",
         "+ rule[0].port = 80"),
    _own("a block of a set that the engine sorts differently from the code", "sorted",
         'rule {\n  port = 90\n  any = "z" # last\n}\nrule {\n  port = 22\n  any = "a" # first\n}',
         {"rule": [{"port": 23, "any": "a"}, {"port": 90, "any": "z"}]}, "rule[0].port", "- rule[0].port = 23"),
    _own("two blocks added to a list, one in between", "steps",
         'step {\n  port = 1\n  any = "a"\n}\nstep {\n  port = 3\n  any = upper("c") # third\n}',
         {"step": [{"port": 1, "any": "a"}, {"port": 2, "any": "b"}, {"port": 3, "any": "C"}, {"port": 1, "any": "a"}]},
         "step", "- step[1].port = 2"),
    _own("an attribute of a single block", "once", 'only {\n  port = 80\n  any = "a"\n}', {"only": {**BLOCK, "port": 81}},
         "only.port", "- only.port = 81", "+ only.port = 80"),
    _own("a single block added", "added", "", {"only": BLOCK}, "only", "- only.port = 80"),
    _own("a list of nested attributes added", "nested", "", {"several": [NESTED]}, "several", '- several[0].key = "a"'),
    _own("a single block removed", "only", 'only {\n  port = 80\n  any = "a"\n}', {"only": None}, "only",
         "+ only.port = 80"),
    _own("a resource deleted", "deleted", 'text = "a"', None),
    _raw("an instance with quoted keys deleted", "each-b",
         'resource "own_thing" "each" {\n  for_each = toset(["a", "b"])\n  name = "each-${each.key}"\n}\n',
         'own_thing.each["b"]', None),
    _raw("an instance of a count changed", "counted-1",
         'resource "own_thing" "counted" {\n  count = 2\n  name = "counted-${count.index}"\n  text = "a"\n}\n',
         "own_thing.counted[1]", {"text": "b"}, "text", '- text = "b"'),
    _raw("a resource in a module with quoted keys", "module-ä b.c",
         'module "m" {\n  source = "./inner"\n  for_each = toset(["ä b.c"])\n  name = "module-${each.key}"\n}\n',
         'module.m["ä b.c"].own_thing.it', {"text": "b"}, "text", '- text = "b"', '+ text = "inner"'),
    _own("who changed it, where the provider says so", "signed", 'text = "a"',
         {"text": "b", "updated_by": "anna@example.com", "modified_time": "2026-02-03T04:05:06Z"}, "text", '- text = "b"',
         "last changed by anna@example.com at 2026-02-03T04:05:06Z, says the provider"),
    _own("who changed it, in a tag that `drift.changed_by` names", "noted",
         'text = "a"\nlifecycle {\n  ignore_changes = [tags]\n}', {"text": "b", "tags": {"ModifiedBy": "bob"}}, "text",
         "last changed by bob, says the provider"),
    _own("when it was changed, where the provider says so", "dated", 'text = "a"', {"text": None, "modified_time": "2026-02-03T04:05:07Z"},
         "text", "last changed by deployer at 2026-02-03T04:05:07Z, says the provider"),
    _own("a deleted resource that another one reads", "read", 'text = "a"', None,
         follows={"terraform_data.reader": "changed"}),
    _raw("what a data source reads, and a resource uses", "watched",
         'data "own_thing" "watched" {\n  name = "watched"\n}\nresource "terraform_data" "watched" {\n'
         "  input = data.own_thing.watched.text\n}\n",
         "terraform_data.watched", {"text": "b"}, "input", '- input = "a"', '+ input = "b"'),
    _raw("a computed attribute that another resource uses", "tagged-etag",
         'resource "own_thing" "etag" {\n  name = "tagged-etag"\n}\nresource "terraform_data" "etag" {\n'
         "  input = own_thing.etag.etag\n}\n",
         "terraform_data.etag", {"etag": "9"}, "input", '- input = "1"', '+ input = "9"', "follows from own_thing.etag"),
    _own("the version of a write-only value", "version", "password = \"swordfish-9\"\npassword_version = 1",
         {"password_version": 2}, "password_version", "- password_version = 2"),
    _raw("what an output reads", "looked",
         'data "own_thing" "looked" {\n  name = "looked"\n}\noutput "looked" {\n  value = data.own_thing.looked.text\n}\n',
         "output looked", {"text": "b"}, kind="outputs"),
    _raw("what a check block asserts", "asserted",
         'data "own_thing" "asserted" {\n  name = "asserted"\n}\ncheck "asserted" {\n  assert {\n'
         '    condition = data.own_thing.asserted.text == "a"\n    error_message = "it is another"\n  }\n}\n',
         "check.asserted", {"text": "b"}, kind="check"),
]  # fmt: skip
READER = 'resource "terraform_data" "reader" {\n  input = own_thing.read.etag\n}\n'


def _kube(what: str, address: str, body: str, api: str, change: Any, *reported: str) -> Case:
    """A case of the kubernetes provider; its change is a merge patch."""
    kind, _, name = address.partition(".")
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    metadata = f'  metadata {{\n    name = "{name}"\n    namespace = var.namespace\n  }}\n'
    code = f'resource "kubernetes_{kind}" "{name}" {{\n{metadata}{indented}}}\n'
    return replace(_raw(what, name, code, f"kubernetes_{address}", change, *reported), object=f"{api}/{name}")


CORE, APPS = "/api/v1/namespaces/{namespace}", "/apis/apps/v1/namespaces/{namespace}"
RULES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
TEMPLATE = """
wait_for_rollout = false
spec {
  replicas = 1
  selector {
    match_labels = { app = "%s" }
  }
  template {
    metadata {
      labels = { app = "%s" }
    }
    spec {
      automount_service_account_token = false
      container {
        name = "app"
        image = "example.test/app:1"
        env {
          name = "MODE"
          value = "a"
        }
      }
    }
  }
}
"""


def _container(**changed: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "example.test/app:1", "env": [{"name": "MODE", "value": "a"}], **changed}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


SPEC = "spec[0].template[0].spec[0].container[0]"
SERVICE = 'spec {\n  selector = { app = "a" }\n  port {\n    port = 80\n  }\n}'
ROLE = 'rule {\n  api_groups = [""]\n  resources = ["pods"]\n  verbs = ["get"]\n}'
KUBERNETES_CASES = [
    _kube("a value of a ConfigMap", "config_map.value", 'data = { a = "1" }', f"{CORE}/configmaps", {"data": {"a": "2"}},
          "data.a", '- data.a = "2"', '+ data.a = "1"'),
    _kube("a key added to a ConfigMap", "config_map.more", 'data = { a = "1" }', f"{CORE}/configmaps",
          {"data": {"b.txt": "2"}}, 'data["b.txt"]', '- data["b.txt"] = "2"'),
    _kube("a label added by hand", "config_map.label", 'data = { a = "1" }', f"{CORE}/configmaps",
          {"metadata": {"labels": {"team": "x"}}}, "metadata[0].labels.team", '- metadata[0].labels.team = "x"'),
    _kube("a ConfigMap deleted", "config_map.gone", 'data = { a = "1" }', f"{CORE}/configmaps", None),
    _kube("a value of a Secret", "secret.password", 'data = { a = "swordfish-5" }', f"{CORE}/secrets",
          {"data": {"a": "c3dvcmRmaXNoLTY="}}, "data", "- data = (sensitive value)"),
    _kube("a Service's port", "service.port", SERVICE, f"{CORE}/services",
          {"spec": {"ports": [{"port": 8080, "targetPort": 80}]}}, "spec[0].port[0].port", "- spec[0].port[0].port = 8080"),
    _kube("a Service's selector", "service.selector", SERVICE, f"{CORE}/services", {"spec": {"selector": {"app": "b"}}},
          "spec[0].selector.app", '- spec[0].selector.app = "b"', '+ spec[0].selector.app = "a"'),
    _kube("a Deployment scaled by hand", "deployment.scaled", TEMPLATE % ("s", "s"), f"{APPS}/deployments",
          {"spec": {"replicas": 5}}, "spec[0].replicas", "- spec[0].replicas = 5", "+ spec[0].replicas = 1"),
    _kube("a Deployment's image", "deployment.image", TEMPLATE % ("i", "i"), f"{APPS}/deployments",
          _container(image="example.test/app:2"), f"{SPEC}.image", "- spec[0].template[0].spec[0].container[0].image"),
    _kube("a Deployment's variable", "deployment.variable", TEMPLATE % ("v", "v"), f"{APPS}/deployments",
          _container(env=[{"name": "MODE", "value": "b"}]), f"{SPEC}.env[0].value", '"b"', '"a"'),
    _kube("a Deployment deleted", "deployment.away", TEMPLATE % ("d", "d"), f"{APPS}/deployments", None),
    _kube("a Role that allows more", "role.role", ROLE, f"{RULES}/roles",
          {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}]}, "rule[0].verbs", '"delete"'),
    _kube("a limit raised", "limit_range.limits",
          'spec {\n  limit {\n    type = "Pod"\n    max = { cpu = "1" }\n  }\n}', f"{CORE}/limitranges",
          {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "64"}}]}}, "spec[0].limit[0].max.cpu",
          '- spec[0].limit[0].max.cpu = "64"', '+ spec[0].limit[0].max.cpu = "1"'),
]  # fmt: skip


def _file(what: str, name: str, body: str, change: Any, *, follows: dict[str, str] | None = None) -> Case:
    """A case of the provider of files, for which a file with different content no longer exists."""
    code = f'resource "local_file" "{name}" {{\n  filename = "${{path.root}}/../../world/{name}"\n  {body}\n}}\n'
    return Case(what, code, f"local_file.{name}", change, "deleted", object=name, follows=follows or {})


LOCAL_CASES = [
    _file("a file deleted", "page", 'content = "page"', None),
    _file("a file's content", "edited", 'content = "edited"', "by hand"),
    _file("a file with sensitive content", "key", 'sensitive_content = "swordfish-7"', "swordfish-8"),
    _file("a file of bytes", "bytes", 'content_base64 = "AAE="', "x"),
    _file("a file that another resource reads", "used", 'content = "used"', None, follows={"terraform_data.uses": "changed"}),
]  # fmt: skip
USES = 'resource "terraform_data" "uses" {\n  input = "in ${local_file.used.id}"\n}\n'
CASES = {OWN: OWN_CASES, KUBERNETES: KUBERNETES_CASES, LOCAL: LOCAL_CASES}


# What `--adopt` leaves to do by hand; of all other cases it changes the code.
BY_HAND = {
    OWN: {
        "own_thing.counted[1]", 'own_thing.each["b"]', 'module.m["ä b.c"].own_thing.it', "own_thing.read",
        "own_thing.inner", "own_thing.secret", "own_thing.some", "terraform_data.etag", "terraform_data.watched",
        "terraform_data.reader", "check.asserted",
    },
    KUBERNETES: {"kubernetes_secret.password"},
    LOCAL: {"local_file.used", "terraform_data.uses"},
}  # fmt: skip

# What a deploy need not answer. Each has a counterpart above that it must.


def _quiet(what: str, name: str, body: str, change: Any, address: str = "own_thing") -> Case:
    """A change to an object of the own provider that is no drift."""
    return replace(_own(what, f"quiet_{name}", body, change), address=f"{address}.quiet_{name}", kind="none")


IGNORED = "lifecycle {\n  ignore_changes = [%s]\n}"
RULE = 'rule {\n  port = 80\n  any = "a"\n}\nrule {\n  port = 81\n  any = "b"\n}'
OWN_NOISE = [
    _quiet("a computed attribute, a time and an author", "computed", 'text = "a"',
           {"etag": "9", "modified_time": "2026-05-05T05:05:05Z", "updated_by": "cron"}),
    _quiet("an optional attribute that is not set, with a new default", "default", "", {"size": "medium"}),
    _quiet("a computed secret that is rotated", "token", "", {"token": "rotated-swordfish-1"}),
    _quiet("a write-only value", "password", 'password = "swordfish-9"\npassword_version = 1', {"etag": "2"}),
    _quiet("another spelling of JSON that the provider compares", "policy", "policy = jsonencode({ a = 1, b = [2] })",
           {"policy": '{"b": [2],  "a": 1}'}),
    _quiet("another case that the provider ignores", "tier", 'tier = "basic"', {"tier": "BASIC"}),
    _quiet("the order of a set", "set", 'set = ["a", "b", "c"]', {"set": ["c", "b", "a"]}),
    _quiet("the order of a set of blocks", "rules", RULE, {"rule": [{"port": 81, "any": "b"}, BLOCK]}),
    _quiet("a map in `ignore_changes`", "ignored", f'tags = {{ a = "1" }}\n{IGNORED % "tags"}', {"tags": {"b": "2"}}),
    _quiet("a key of a map in `ignore_changes`", "ignored_key", 'tags = { a = "1", b = "2" }\n' + IGNORED % 'tags["a"]',
           {"tags": {"a": "9", "b": "2"}}),
    _quiet("a block in `ignore_changes`", "ignored_block", f'step {{\n  port = 80\n}}\n{IGNORED % "step"}', {"step": []}),
    _quiet("everything in `ignore_changes`", "ignored_all", 'text = "a"\nlifecycle {\n  ignore_changes = all\n}',
           {"text": "b", "number": 7, "name": "another"}),
    _quiet("what a rule ignores", "scaled", "number = 1", {"number": 9}),
    _quiet("timeouts, which no API knows", "timeouts", 'timeouts {\n  create = "5m"\n}', {"etag": "3"}),
    _quiet("an attribute that the API leaves out, where null was", "null", "text = null", {"text": None, "flag": None}),
    _quiet("1.0 in place of 1", "number", "number = 1", {"number": 1.0}),
    _quiet("what a data source reads that nothing uses", "data", 'text = "a"', {"modified_time": "2026-06-06T06:06:06Z"}),
    _quiet("a resource that was moved", "moved", 'text = "a"', {"etag": "4"}),
    _quiet("a computed attribute of what is in `depends_on`", "depended", "", {"etag": "5"}),
]  # fmt: skip
QUIET_CODE = """
data "own_thing" "unused" {
  name       = "quiet_data"
  depends_on = [own_thing.quiet_data]
}

moved {
  from = own_thing.was
  to   = own_thing.quiet_moved
}

resource "terraform_data" "dependent" {
  depends_on = [own_thing.quiet_depended]
}
"""


def _calm(what: str, address: str, body: str, api: str, change: Any) -> Case:
    """A change to an object of a cluster that is no drift."""
    return replace(_kube(what, address, body, api, change), kind="none")


ANNOTATIONS = IGNORED % "metadata[0].annotations"
KUBERNETES_NOISE = [
    _calm("annotations of Kubernetes' own controllers", "deployment.quiet-revision", TEMPLATE % ("r", "r"),
          f"{APPS}/deployments", {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "7"}}}),
    _calm("annotations of others in `ignore_changes`", "config_map.quiet-annotated", f'data = {{ a = "1" }}\n{ANNOTATIONS}',
          f"{CORE}/configmaps", {"metadata": {"annotations": {"example.test/seen": "yes"}}}),
    _calm("finalizers and owners", "config_map.quiet-owned", 'data = { a = "1" }', f"{CORE}/configmaps",
          {"metadata": {"finalizers": ["example.test/kept"]}}),
    _calm("replicas that an autoscaler sets, in `ignore_changes`", "deployment.quiet-ignored",
          TEMPLATE % ("q", "q") + IGNORED % "spec[0].replicas", f"{APPS}/deployments", {"spec": {"replicas": 7}}),
    _calm("replicas that an autoscaler sets, under a rule", "deployment.quiet-scaled", TEMPLATE % ("z", "z"),
          f"{APPS}/deployments", {"spec": {"replicas": 7}}),
    _calm("the status of a Service", "service.quiet-status", SERVICE, f"{CORE}/services",
          {"metadata": {"annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "now"}}}),
    _calm("a field that the provider does not know", "secret.quiet-immutable", 'data = { a = "swordfish-6" }',
          f"{CORE}/secrets", {"immutable": True}),
]  # fmt: skip


def _still(what: str, name: str, change: Any) -> Case:
    return replace(_file(what, f"quiet_{name}", f'content = "{name}"', change), kind="none")


LOCAL_NOISE = [_still("a file written again with the same content", "again", "again")]
NOISE = {OWN: OWN_NOISE, KUBERNETES: KUBERNETES_NOISE, LOCAL: LOCAL_NOISE}
RULES_OF_NOISE = """
drift:
  changed_by: [tags.ModifiedBy]
  ignore:
    - {address: own_thing.quiet_scaled, attribute: number, reason: autoscaled, until: 2099-01-01}
    - {address: kubernetes_deployment.quiet-scaled, attribute: "spec[0].replicas", reason: autoscaled, until: 2099-01-01}
"""


_INTRODUCTION = """\
# Drift that is tested

Each line is a change that `tests/e2e/test_drift_real.py` makes outside of the engine to what was deployed, and how
`doit drift` has to report it: its class, its address and the attribute that differs. A fresh clone that never deployed
finds all of them, exits with 2, and tells them from undeployed code, with a ledger and without.

The providers are `kubernetes` 1.13.4 with a real Kubernetes API, `local` 1.4.0, and `own`, a provider of the tests
whose resource has an attribute of every kind: its API is a folder of files. For `local`, a file with different content
no longer exists.

| provider | outside | class | reported |
| --- | --- | --- | --- |
"""
_ADOPTED = """
`doit drift --adopt` adopts all of these but {hand}: instances and modules, sensitive values, and
what follows from something else. The plan afterwards has only these.
"""
_QUIET = """
## No drift

None of these changes is an alert: `doit drift` exits with 0. `tests/e2e/test_drift_noise.py` has more than 40
others, without a provider: code that is written in another way and means the same, values that only look different,
what `lifecycle` and rules ignore. There, an attribute that the shape does not cover is then changed in each resource,
and each is an alert: no shape is silent because it is not checked at all.

| provider | outside |
| --- | --- |
"""


def published() -> str:
    """The content of `docs/drift-cases.md`."""
    lines = [
        f"| `{provider}` | {case.what} | `{case.kind}` | {_reported(case)} |\n"
        for provider, cases in CASES.items()
        for case in cases
    ]
    quiet = ["| `own` | a newer version of the provider, whose resource has one more attribute |\n"]
    quiet += [f"| `{provider}` | {case.what} |\n" for provider, cases in NOISE.items() for case in cases]
    hand = ", ".join(f"`{address}`" for addresses in BY_HAND.values() for address in sorted(addresses))
    adopted = "\n" + textwrap.fill(_ADOPTED.format(hand=hand).strip(), 120, break_on_hyphens=False) + "\n"
    return _INTRODUCTION + "".join(lines) + adopted + _QUIET + "".join(quiet)


def _reported(case: Case) -> str:
    address = f"`{case.address}`"
    path = f", `{case.path}`" if case.path else ""
    says = next((f", {text}" for text in case.shown if text[:1] not in {"+", "-", '"'}), "")
    return address + path + says
