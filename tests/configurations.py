"""Configurations that read files in many ways, made by hypothesis: paths of functions, loops, modules, other files.

Every expression is made for a value that is known here, so that the engine's plan succeeds and really reads.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK = "stacks/web"
_FILES = {
    "shared/a.txt": "a", "shared/deep/b.txt": "b", "shared/deep/c.json": "{}", "shared/.hidden/h.txt": "h",
    "shared/node_modules/p/x.json": "{}", "shared/README.md": "about", "other/o.txt": "o", "other/sub/p.json": "{}",
    f"{STACK}/own.txt": "own", f"{STACK}/.h/x.txt": "x", f"{STACK}/data/d.json": "{}", "README.md": "about",
}  # fmt: skip
_LINKS = {"shared/linked": "../other", f"{STACK}/link.txt": "../../shared/a.txt"}
_TARGETS = (
    "shared/a.txt", "shared/deep/b.txt", "shared/.hidden/h.txt", "shared/node_modules/p/x.json", "other/o.txt",
    f"{STACK}/own.txt", f"{STACK}/.h/x.txt", f"{STACK}/link.txt", "shared/linked/o.txt",
)  # fmt: skip
_READERS = ("file", "filesha256", "filemd5", "filebase64", "filebase64sha512")
_PATTERNS = ("*", "**", "*.txt", "**/*.txt", "**/*.{json,txt}", "*/*", ".*/*", "[a-d].*", "deep/*")
_OPAQUE = 'uuidv5("dns", "a")'  # what the engine knows, and no reader of ours


@dataclass
class Configuration:
    """A repository with one stack, and what is set in the environment."""

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Write it into a folder."""
        for name, content in {**self.files, "config/pipeline.yaml": "version: 1\n"}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for name, target in self.links.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)

    def shown(self) -> str:
        """Its configuration, for a person."""
        own = {name: text for name, text in self.files.items() if _FILES.get(name) != text}
        return "\n".join(f"--- {name}\n{text}" for name, text in own.items()) + f"\n{self.variables}"


@dataclass
class _Module:
    """A module in the making."""

    folder: str
    locals: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Its configuration."""
        inside = "".join(f"  {line}\n" for line in self.locals)
        return "\n".join([f"locals {{\n{inside}}}", *self.blocks]) + "\n"


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """A repository with one stack that reads some files."""
    return _Maker(draw).make()


class _Maker:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._made = Configuration(dict(_FILES), dict(_LINKS))
        self._count = 0
        self._vars: list[str] = []
        self._among = tuple(_SHAPES)

    def make(self) -> Configuration:
        """The configuration."""
        root = _Module(STACK)
        for _ in range(self._draw(st.integers(2, 5))):
            self._place(root, self._reading(root))
        if self._pick(range(3)):
            self._module(root, depth=2)
        self._write(root)
        self._made.files[f"{STACK}/terraform.tfvars"] = "".join(self._vars)
        return self._made

    def _pick(self, among: object) -> int:
        return self._draw(st.sampled_from(list(among)))  # type: ignore[call-overload, no-any-return]

    def _name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def _write(self, module: _Module) -> None:
        self._made.files[f"{module.folder}/main.tf"] = module.text()

    # --- where it is read

    def _place(self, module: _Module, reading: str) -> None:
        """Put an expression that reads into a block of some kind."""
        name = self._name()
        kind = self._draw(st.sampled_from(["local", "output", "resource", "each", "count", "unused"]))
        if kind == "local":
            module.locals.append(f"{name} = {reading}")
            module.blocks.append(f'output "{name}" {{\n  value = local.{name}\n}}')
        elif kind == "unused":
            module.locals.append(f"{name} = {reading}")
        elif kind == "output":
            module.blocks.append(f'output "{name}" {{\n  value = {reading}\n}}')
        else:
            repeat = {"resource": "", "each": '  for_each = toset(["a"])\n', "count": "  count = 1\n"}[kind]
            module.blocks.append(f'resource "terraform_data" "{name}" {{\n{repeat}  input = {reading}\n}}')

    def _module(self, caller: _Module, depth: int) -> None:
        """A module that is called, with a source made of this and that, and a path that it is given."""
        inner = _Module(f"modules/{self._name()}")
        given = self._draw(st.sampled_from(_TARGETS))
        path = self._path(caller, given, 1)
        inner.blocks.append('variable "given" {\n  type = string\n}')
        self._place(inner, f"{self._draw(st.sampled_from(_READERS))}(var.given)")
        self._place(inner, self._reading(inner))
        if depth > 1 and self._pick(range(2)):
            self._module(inner, depth - 1)
        self._write(inner)
        source = self._text(caller, posixpath.relpath(inner.folder, caller.folder), 2, _STATIC)
        call = self._draw(st.sampled_from(["", '  for_each = toset(["x"])\n']))
        caller.blocks.append(f'module "{self._name()}" {{\n  source = {source}\n{call}  given = {path}\n}}')

    # --- what is read

    def _reading(self, module: _Module) -> str:
        kind = self._draw(
            st.sampled_from(
                ["file", "file", "file", "exists", "missing", "set", "each", "template", "template", "loop"]
            )
        )
        if kind == "missing":
            return f"fileexists({self._path(module, f'shared/{self._name()}.txt', 2)})"
        if kind in ("set", "each"):
            folder = self._draw(st.sampled_from(["shared", "shared/deep", f"{STACK}/data", "other"]))
            path, pattern = self._path(module, folder, 1), self._draw(st.sampled_from(_PATTERNS))
            found = f"fileset({path}, {json.dumps(pattern)})"
            return found if kind == "set" else f'[for f in {found} : filesha256("${{{path}}}/${{f}}")]'
        if kind == "loop":
            targets = self._draw(st.lists(st.sampled_from(_TARGETS), min_size=1, max_size=3, unique=True))
            paths = ", ".join(self._path(module, target, 1, opaque=True) for target in targets)
            return f"[for p in [{paths}] : filesha256(p)]"
        if kind == "template":
            return self._templated(module)
        target = self._draw(st.sampled_from(_TARGETS))
        path = self._path(module, target, 2, opaque=True)
        if kind == "exists":
            return f'fileexists({path}) ? filesha256({path}) : ""'
        return f"{self._draw(st.sampled_from(_READERS))}({path})"

    def _templated(self, module: _Module) -> str:
        target = self._path(module, self._draw(st.sampled_from(_TARGETS)), 1)
        template = f"{module.folder}/{self._name()}.tftpl"
        own = json.dumps(posixpath.relpath(self._draw(st.sampled_from(_TARGETS)), STACK))
        contents = [
            "${filesha256(name)}",
            "%{ for n in [name] }${filesha256(n)}%{ endfor }",
            "%{ if true }${filemd5(name)}%{ endif }",
            f"${{name}} ${{filesha256({own})}}",
            f"${{name}} %{{ for n in [{own}] }}${{file(n)}}%{{ endfor }}",
        ]
        content = self._draw(st.sampled_from(contents))
        self._made.files[template] = content
        return f"templatefile({self._path(module, template, 1, opaque=True)}, {{ name = {target} }})"

    # --- how its path is made

    def _path(self, module: _Module, target: str, depth: int, *, opaque: bool = False) -> str:
        """An expression for the path of a file or folder, as the engine has it; `opaque` may hide the file's name."""
        kinds = ["plain", "module", "module", "root", "cwd", "absolute", *(["opaque"] if opaque else [])]
        kind = self._draw(st.sampled_from(kinds))
        if kind == "plain":
            return self._text(module, posixpath.relpath(target, STACK), depth)
        if kind == "opaque":
            folder, name = posixpath.split(posixpath.relpath(target, STACK))
            begin = self._text(module, folder or ".", depth - 1)
            return f'"${{{begin}}}/${{strrev({json.dumps(name[::-1])})}}"'
        base, start = (
            ("path.module", module.folder)
            if kind == "module"
            else (f"path.{'cwd' if kind == 'cwd' else 'root'}", STACK)
        )
        rest = self._text(module, posixpath.relpath(target, start), depth)
        shapes = [f'"${{{base}}}/${{{rest}}}"', f'join("/", [{base}, {rest}])', f'format("%s/%s", {base}, {rest})']
        shape = self._draw(st.sampled_from(shapes))
        return f"abspath({shape})" if kind == "absolute" else shape

    def _text(self, module: _Module, value: str, depth: int, among: tuple[str, ...] = ()) -> str:
        """An expression for a text."""
        if depth <= 0:
            return json.dumps(value)
        outer, self._among = self._among, among or self._among
        name = self._draw(st.sampled_from(self._among))
        made = _SHAPES[name](self, module, value, depth)
        self._among = outer
        return made

    def local(self, module: _Module, value: str, depth: int) -> str:
        """A text by a local."""
        name = self._name()
        module.locals.append(f"{name} = {self._text(module, value, depth - 1, _STATIC)}")
        return f"local.{name}"

    def variable(self, module: _Module, value: str, depth: int) -> str:
        """A text by a variable: a default, a var file, the environment, an optional attribute, null."""
        del depth
        name, quoted = self._name(), json.dumps(value)
        kinds = ["default", "optional", "map", "null"] + (["file", "environment"] if module.folder == STACK else [])
        kind = self._draw(st.sampled_from(kinds))
        declared = {
            "default": f"  type = string\n  default = {quoted}\n",
            "optional": f"  type = object({{ p = optional(string, {quoted}) }})\n  default = {{}}\n",
            "map": f"  type = map(string)\n  default = {{ p = {quoted} }}\n",
            "null": "  type = string\n  default = null\n",
        }.get(kind, '  type = string\n  default = "none"\n')
        module.blocks.append(f'variable "{name}" {{\n{declared}}}')
        if kind == "file":
            self._vars.append(f"{name} = {quoted}\n")
        elif kind == "environment":
            self._made.variables[name] = value
        if kind == "null":
            return f"(var.{name} == null ? {quoted} : var.{name})"
        return f"var.{name}.p" if kind in ("optional", "map") else f"var.{name}"

    def cut(self, module: _Module, value: str, depth: int) -> tuple[str, str]:
        """Expressions for two halves of a text."""
        at = self._draw(st.integers(0, len(value)))
        return self._text(module, value[:at], depth - 1), json.dumps(value[at:])

    def from_file(self, module: _Module, value: str, depth: int) -> str:
        """A text that stands in a file."""
        kind = self._draw(st.sampled_from(["json", "yaml", "text", "csv", "list"]))
        name = f"{self._draw(st.sampled_from(['shared', module.folder]))}/{self._name()}.{kind}"
        content, around = {
            "json": (json.dumps({"p": value}), "jsondecode({}).p"),
            "yaml": (f"p: {json.dumps(value)}\n", "yamldecode({}).p"),
            "text": (f"{value}\n", "trimspace({})"),
            "csv": (f"p,q\n{value},1\n", "csvdecode({})[0].p"),
            "list": (json.dumps(["none", value]), "jsondecode({})[1]"),
        }[kind]
        self._made.files[name] = content
        return around.format(f"file({self._path(module, name, depth - 1)})")

    def from_module(self, module: _Module, value: str, depth: int) -> str:
        """A text that goes through a module."""
        inner = _Module(f"modules/{self._name()}")
        inner.blocks += ['variable "in" {\n  type = string\n}', 'output "out" {\n  value = var.in\n}']
        self._write(inner)
        name = self._name()
        source = json.dumps(posixpath.relpath(inner.folder, module.folder))
        module.blocks.append(
            f'module "{name}" {{\n  source = {source}\n  in = {self._text(module, value, depth - 1)}\n}}'
        )
        return f"module.{name}.out"

    def condition(self, module: _Module, value: str, depth: int) -> str:
        """A text by a condition, which our reader knows or not."""
        inner, other = self._text(module, value, depth - 1), json.dumps("none")
        test = self._draw(st.sampled_from(["true", "1 == 1", f'{_OPAQUE} != ""', '!("a" == "b")']))
        return f"({test} ? {inner} : {other})"


def _around(*shapes: str) -> Callable[[_Maker, _Module, str, int], str]:
    """A shape with another expression for the same text in it."""

    def make(maker: _Maker, module: _Module, value: str, depth: int) -> str:
        return maker._draw(st.sampled_from(shapes)).replace("@", maker._text(module, value, depth - 1))

    return make


def _halves(*shapes: str) -> Callable[[_Maker, _Module, str, int], str]:
    """A shape of two halves."""

    def make(maker: _Maker, module: _Module, value: str, depth: int) -> str:
        one, other = maker.cut(module, value, depth)
        return maker._draw(st.sampled_from(shapes)).replace("@1", one).replace("@2", other)

    return make


def _of_value(*shapes: Callable[[str], str]) -> Callable[[_Maker, _Module, str, int], str]:
    """A shape of the text itself."""
    return lambda maker, _module, value, _depth: maker._draw(st.sampled_from(shapes))(value)


_SHAPES: dict[str, Callable[[_Maker, _Module, str, int], str]] = {
    "literal": lambda _maker, _module, value, _depth: json.dumps(value),
    "local": _Maker.local,
    "variable": _Maker.variable,
    "halves": _halves('format("%s%s", @1, @2)', 'join("", [@1, @2])', '"${@1}${@2}"', 'join("", concat([@1], [@2]))'),
    "file": _Maker.from_file,
    "module": _Maker.from_module,
    "condition": _Maker.condition,
    "choice": _around('coalesce("", @)', "coalesce(null, @)", 'try(@, "none")', "try({}.none, @)", "coalesce(@, @)"),
    "object": _around(
        "{ k = @ }.k", '{ k = @ }["k"]', 'lookup({ k = @ }, "k", "none")', 'merge({ k = "none" }, { k = @ }).k',
        "values({ k = @ })[0]", '{ for k, v in { a = @ } : k => v }["a"]', 'try({ k = @ }.k, { k = "none" }.k)',
    ),
    "list": _around(
        "[@][0]", 'element(["none", @], 1)', 'concat(["none"], [@])[1]', 'flatten([["none"], [@]])[1]', "one([@])",
        "[for s in [@] : s][0]", "tolist(toset([@]))[0]", "one([{ k = @ }][*].k)", '[for s in ["none", @] : s if s != "none"][0]',
        "compact([null, @])[0]", 'reverse(["none", @])[0]', "distinct([@])[0]",
    ),
    "function": _of_value(
        lambda value: f'replace({json.dumps(value.replace("/", "@@"))}, "@@", "/")',
        lambda value: f'trimsuffix({json.dumps(value + ".bak")}, ".bak")',
        lambda value: f'trimprefix({json.dumps("x-" + value)}, "x-")',
        lambda value: f'split(",", {json.dumps("none," + value)})[1]',
        lambda value: f"trimspace({json.dumps(f'  {value} ')})",
        lambda value: f"keys({{ {json.dumps(value)} = 1 }})[0]",
        lambda value: f"jsondecode({json.dumps(json.dumps({'p': value}))}).p",
        lambda value: f"substr({json.dumps('xy' + value)}, 2, -1)",
    ),
    "transparent": _around("nonsensitive(sensitive(@))", "tostring(@)", "core::coalesce(@)", "(@)", '"${@}"'),
}  # fmt: skip
_STATIC = (
    "literal",
    "local",
    "variable",
    "halves",
    "condition",
    "object",
    "list",
)  # what a module's source may be made of
