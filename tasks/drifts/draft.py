"""Drafts the change of the code that takes over what was done outside: which bytes of which file become what.

What can be drafted: attributes and elements of maps whose code is a literal, a variable's default or a local that
nothing else uses; a policy in `jsonencode`; attributes and nested blocks that were added or removed; a resource that
was deleted; and one that appeared, as a block of its own. For everything else the draft says what to do by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..artifact.changes import UNKNOWN
from ..base import jsontext
from ..base.jsonvalue import elements
from ..base.valuepath import at, dotted
from ..project.hcl import syntax
from . import blocks, hclwrite, places
from .byhand import ByHandError, following, has_hidden, leave, of_another_address, of_json, of_state_alone, should_be
from .classes import DriftClass, paths_of
from .edits import Edit, after_line, apart
from .places import Spot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tree_sitter import Node

    from ..base.jsonvalue import Json, JsonObject
    from ..base.valuepath import Path
    from .blocks import Shape
    from .classes import Finding

_ADDRESS = re.compile(r"(?P<type>[A-Za-z][A-Za-z0-9_-]*)\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)")
_INSTANCE = re.compile(rf'(?P<resource>{_ADDRESS.pattern})\[(?P<key>".+")\]')
_EACH = re.compile(r"each\.value(?P<path>(?:\.[A-Za-z_][\w-]*)*)")
_SINGLE = re.compile(r"(?P<kind>var|local)\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)")


@dataclass(frozen=True)
class Draft:
    """The edits, what they cannot do (a sentence each), and the resources that this concerns."""

    edits: list[Edit] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    by_hand: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Sides:
    """A resource as it exists, and as the code says; and its type's shape, where it is known."""

    exists: Json
    code: Json
    shape: Shape | None = None


def draft(
    findings: Sequence[Finding], sources: Mapping[str, bytes], given: frozenset[str], shapes: Mapping[str, Shape]
) -> Draft:
    """The change of the code that makes it say what exists.

    Args:
        findings: What differs; what was not done outside is left alone.
        sources: The root module's files in native syntax.
        given: The variables whose values come from elsewhere than their defaults.
        shapes: The shapes of resource types, for what appeared.
    """
    gone = [item.address for item in findings if item.kind is DriftClass.DELETED and item.ignored is None]
    drafter, edits, left, by_hand = _Drafter(sources, given, shapes, gone), list[Edit](), list[str](), set[str]()
    for found in findings:
        if found.kind is DriftClass.UNDEPLOYED or found.ignored is not None:
            continue
        if said := of_state_alone(found):
            left.append(said)
            by_hand.add(found.address)
            continue
        for attempt in drafter.attempts(found):
            try:
                edits += attempt()
            except ByHandError as error:
                left.append(following(found) or str(error))
                by_hand.add(found.address)
    for found in findings:
        if found.kind is DriftClass.CHANGED and found.address not in by_hand and by_hand.intersection(found.causes):
            left.append(following(found))
            by_hand.add(found.address)
    return Draft(apart(edits), list(dict.fromkeys(left)), frozenset(by_hand))


class _Drafter:
    """Drafts for one root module."""

    def __init__(
        self, sources: Mapping[str, bytes], given: frozenset[str], shapes: Mapping[str, Shape], gone: Sequence[str]
    ) -> None:  # fmt: skip
        self._sources, self._given, self._shapes = sources, given, shapes
        self._roots = {file: syntax.parse(content) for file, content in sources.items()}
        self._used = places.referring(self._roots, gone)

    def attempts(self, found: Finding) -> Iterator[Callable[[], list[Edit]]]:
        """What to try for a finding, each returning edits or raising `ByHandError`."""
        if found.kind is DriftClass.CHANGED and found.item is not None:
            item = found.item
            for path in paths_of(item):
                if at(item.get("after"), path) == UNKNOWN:  # what the provider computes is not in the code
                    continue
                yield partial(self._changed, found.address, item, path)
        elif found.kind is DriftClass.DELETED:
            yield lambda: self._deleted(found.address)
        elif found.kind is DriftClass.APPEARED and found.item is not None:
            before = found.item.get("before")
            yield lambda: self._appeared(found.address, before)
        elif found.kind is DriftClass.CHECK:
            yield lambda: leave(f"{found.address} does not hold: no change to the code can adopt that")

    # --- what changed

    def _changed(self, address: str, item: JsonObject, path: Path) -> list[Edit]:
        exists, what = at(item.get("before"), path), f"{address}.{dotted(path)}"
        if not path:
            leave(f"{address} exists in another form; compare it with its code")
        if has_hidden(exists) or [*path] in elements(item.get("masked")):
            leave(f"{what} is sensitive: set it in the code by hand")
        if match := _INSTANCE.fullmatch(address):
            spot = self._of_instance(match, address, path, exists)
            return self._attribute(spot, list(path[1:]), at(item.get("before"), path[:1]), exists, what)
        known = _ADDRESS.fullmatch(address)
        if known is None:
            raise ByHandError(of_another_address(address, path, exists))
        sides = _Sides(item.get("before"), item.get("after"), self._shapes.get(known["type"]))
        return self._within(self._resource(address, str(path[0])), path, (), sides, what)

    def _of_instance(self, match: re.Match[str], address: str, path: Path, exists: Json) -> Spot:
        """Where the value of an attribute of an instance alone is written: in a literal that `for_each` gets."""
        block = self._resource(match["resource"], str(path[0]))
        found = dict(syntax.attributes(syntax.body(block.node)))
        expression, each = found.get(str(path[0])), found.get("for_each")
        value = _EACH.fullmatch(syntax.text(expression).strip()) if expression is not None else None
        if value is None or each is None:
            raise ByHandError(of_another_address(address, path, exists))
        spot, is_json = self._literal(Spot(block.file, each), f"`for_each` of {match['resource']}", exists)
        node: Node | None = spot.node
        for step in (jsontext.loads(match["key"]), *value["path"].split(".")[1:]):
            node = places.element(node, step) if node is not None else None
        if node is None or is_json:
            raise ByHandError(of_another_address(address, path, exists))
        return Spot(spot.file, node)

    def _within(self, spot: Spot, path: Path, done: Path, sides: _Sides, what: str) -> list[Edit]:
        """Edits of a block's body.

        Args:
            spot: The block.
            path: What differs within the block.
            done: Where the block is within the resource.
            sides: The resource.
            what: The same for readers.
        """
        name, rest, exists = str(path[0]), path[1:], at(sides.exists, [*done, *path])
        now, code = (at(side, [*done, name]) for side in (sides.exists, sides.code))
        body = syntax.body(spot.node)
        if body is None:
            return [self._first(spot, name, now, what)]
        expression = next((node for key, node in syntax.attributes(body) if key == name), None)
        if expression is not None:
            return self._attribute(Spot(spot.file, expression), list(rest), now, exists, what)
        inside = [node for node in body.named_children if node.type == "block"]
        nested = [node for node in inside if places.kind(node) == name]
        if any(places.kind(node) == "dynamic" and places.label(node) == name for node in inside):
            leave(f"{what} is set by a dynamic block; {should_be(exists)}")
        if nested and rest and isinstance(rest[0], int) and len(rest) > 1 and rest[0] < len(nested):
            inner = Spot(spot.file, blocks.of(nested, code)[rest[0]])
            return self._within(inner, rest[1:], (*done, name, rest[0]), sides, what)
        if len(nested) == 1 and rest and isinstance(rest[0], str) and isinstance(now, dict):
            return self._within(Spot(spot.file, nested[0]), rest, (*done, name), sides, what)
        shape = None if done else sides.shape
        if nested or (blocks.are(now) if shape is None else name in shape.blocks):
            return self._blocks(Spot(spot.file, body), name, nested, what, code=code, now=now)
        if now is None:
            leave(f"{what} is not set in the code and does not exist; compare the two by hand")
        return [self._inserted(Spot(spot.file, body), f"{name} = ", now, what)]

    def _attribute(self, spot: Spot, rest: list[str | int], now: Json, exists: Json, what: str) -> list[Edit]:
        """Edits of an attribute's expression, the innermost part of it that is a literal."""
        if not rest and exists is None:
            return [self._without(spot, what)]
        target, left, inner = spot, list(rest), now
        while left:
            element = places.element(target.node, left[0])
            if element is None or (len(left) == 1 and exists is None):
                if (entry := self._entry(target, element, left, inner, what)) is not None:
                    return [entry]
                break
            target, inner, left = Spot(spot.file, element), at(inner, left[:1]), left[1:]
        if has_hidden(inner):
            leave(f"{what} is next to values that are sensitive or not known: change the code by hand")
        target, is_json = self._literal(target, what, exists)
        if places.commented(target.node):
            leave(f"{what} is in an expression with comments, which would be lost; {should_be(exists)}")
        value = inner if left else exists
        return [_replaced(target, of_json(value, what) if is_json else value, what)]

    def _entry(
        self, target: Spot, element: Node | None, left: Sequence[str | int], whole: Json, what: str
    ) -> Edit | None:
        """An edit that adds or removes one line of an object of several lines; None where that is not possible."""
        inner = places.inside(target.node)
        if (
            inner.type != "object"
            or not isinstance(whole, dict)
            or not places.on_lines(inner)
            or not places.keyed(inner)
        ):
            return None
        if element is not None:
            return self._gone(Spot(target.file, element.parent or element), what)
        name = str(left[0])
        if name not in whole or has_hidden(whole[name]):
            return None
        content, end = self._sources[target.file], inner.end_byte - 1
        begin, indent = content.rfind(b"\n", 0, end) + 1, places.element_indent(inner)
        text = f"{indent}{hclwrite.key(name)} = {hclwrite.value(whole[name], indent)}\n"
        return Edit(target.file, begin, begin, text, what)

    def _literal(self, spot: Spot, what: str, exists: Json) -> tuple[Spot, bool]:
        """Where an expression's value is written: itself, a default, a local; true for JSON in a `jsonencode`."""
        if syntax.literal(spot.node) is not syntax.UNKNOWN:
            return spot, False
        text = syntax.text(spot.node).strip()
        if match := _SINGLE.fullmatch(text):
            return self._definition(match["kind"], match["name"], what, exists), False
        argument = places.argument(spot.node, "jsonencode")
        if argument is not None and syntax.literal(argument) is not syntax.UNKNOWN:
            return Spot(spot.file, argument), True
        raise ByHandError(f"{what} is `{text[:80]}`, which is not a literal; {should_be(exists)}")

    def _definition(self, kind: str, name: str, what: str, exists: Json) -> Spot:
        """The literal of a default or local that only this expression uses."""
        reference = f"{kind}.{name}"
        if kind == "var" and name in self._given:
            leave(f"{what} is `{reference}`, whose value comes from the configuration; {should_be(exists)}")
        uses = sum(len(re.findall(rf"(?<![\w.]){re.escape(reference)}(?![\w-])", syntax.text(node)))
                   for node in self._roots.values())  # fmt: skip
        if uses > 1:
            leave(f"{what} is `{reference}`, which other code uses too; {should_be(exists)}")
        for file, root in self._roots.items():
            for block in places.blocks_of(root):
                of_var = kind == "var" and places.kind(block) == "variable" and places.label(block) == name
                wanted = "default" if of_var else name
                if wanted == name and not (kind == "local" and places.kind(block) == "locals"):
                    continue
                for attribute, node in syntax.attributes(syntax.body(block)):
                    if attribute == wanted and syntax.literal(node) is not syntax.UNKNOWN:
                        return Spot(file, node)
        raise ByHandError(f"{what} is `{reference}`, which has no literal here; {should_be(exists)}")

    def _blocks(self, body: Spot, name: str, nested: list[Node], what: str, *, code: Json, now: Json) -> list[Edit]:
        """Edits that leave exactly the nested blocks of a name that exist."""
        if any(has_hidden(item) for item in blocks.items(now)):
            leave(f"{what} contains sensitive values: change its blocks by hand")
        indent = places.indent(nested[0]) if nested else places.inner_indent(body.node)

        def written(item: JsonObject) -> str:
            return hclwrite.block(name, blocks.content(item, nested), indent).lstrip()

        edits = []
        for step in blocks.steps(nested, code, now):
            if step.new:
                text = f"\n{indent}".join(map(written, step.new))
                edits.append(self._added(body, step.node, text, indent, what))
            elif step.node is not None:
                becomes = written(step.becomes) if step.becomes is not None else None
                edits += self._rewritten(Spot(body.file, step.node), becomes, now, what)
        return edits

    # --- what was deleted, and what appeared

    def _deleted(self, address: str) -> list[Edit]:
        if _ADDRESS.fullmatch(address) is None:
            leave(of_another_address(address, (), None))
        block = self._resource(address)
        if user := self._used.get(address):
            leave(f"{address} no longer exists, but {user} refers to it: remove both by hand")
        return [self._gone(block, f"{address} is removed")]

    def _appeared(self, address: str, exists: Json) -> list[Edit]:
        match = _ADDRESS.fullmatch(address)
        shape = self._shapes.get(match["type"]) if match else None
        if match is None or shape is None or not isinstance(exists, dict):
            text = "is in the state, but not in the code: write a resource for it, or a `removed` block"
            raise ByHandError(f"{address} {text}")
        content = {
            name: item for name, item in exists.items() if item not in (None, [], {}) and name in shape.attributes
        }
        nested = {name: exists[name] for name in exists if name in shape.blocks and exists[name]}
        if has_hidden({**content, **nested}):
            leave(f"{address} has sensitive values: write its resource by hand")
        text = hclwrite.block(f'resource "{match["type"]}" "{match["name"]}"', {**content, **nested}, nested=nested)
        if not self._sources:
            raise ByHandError(
                f"{address} is in the state, and the stack has no file in native syntax: write it by hand"
            )
        file = next(
            (file for file in self._sources if file.endswith(("/main.tf", "/main.tofu"))), next(iter(self._sources))
        )
        end = len(self._sources[file])
        separator = "\n" if self._sources[file].endswith(b"\n") else "\n\n"
        return [Edit(file, end, end, f"{separator}{text}\n", f"{address} is added")]

    # --- places

    def _resource(self, address: str, name: str = "") -> Spot:
        """A resource's block; of several, the last one that sets an attribute or block of a name, else the first."""
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ByHandError(f"{address} is one of several instances, or in a module: change its code by hand")
        wanted = ["resource", match["type"], match["name"]]
        found = [
            Spot(file, block)
            for file, root in self._roots.items()
            for block in places.blocks_of(root)
            if places.words(block) == wanted
        ]
        if not found:
            raise ByHandError(
                f"{address} has no block in the stack's own files in native syntax: change its code by hand"
            )
        if not name and len(found) > 1:
            raise ByHandError(f"{address} is also written in {found[-1].file}: remove both by hand")
        return next((spot for spot in reversed(found) if places.sets(spot.node, name)), found[0])

    def _inserted(self, body: Spot, head: str, now: Json, what: str, *, raw: bool = False) -> Edit:
        """An attribute or block at the end of a body."""
        content, indent = self._sources[body.file], places.inner_indent(body.node)
        if b"\n" not in content[body.node.end_byte : body.node.parent.end_byte if body.node.parent else None]:
            leave(f"{what} is not set in a block that is written on one line: give it lines of its own first")
        text = f"{indent}{head}{now if raw else hclwrite.value(now, indent)}\n"
        last = body.node.named_children[-1] if body.node.named_children else None
        if last is None:
            return Edit(body.file, body.node.end_byte, body.node.end_byte, f"\n{text}", what)
        end = after_line(content, last.end_byte)
        return Edit(body.file, end, end, text, what)

    def _rewritten(self, block: Spot, text: str | None, now: Json, what: str) -> list[Edit]:
        """A block as another one, if nothing is lost; or as none."""
        if text is None:
            return [self._gone(block, what)]
        if " ".join(syntax.text(block.node).split()) == " ".join(text.split()):
            return []
        if not blocks.plain(block.node):
            leave(f"{what} has a block with expressions or comments, which would be lost; {should_be(now)}")
        return [Edit(block.file, block.node.start_byte, block.node.end_byte, text, what)]

    def _added(self, body: Spot, following: Node | None, text: str, indent: str, what: str) -> Edit:
        """Blocks before another one, or at the end of a body."""
        if following is None:
            return self._inserted(body, "", text, what, raw=True)
        begin = self._sources[body.file].rfind(b"\n", 0, following.start_byte) + 1
        return Edit(body.file, begin, begin, f"{indent}{text}\n", what)

    def _first(self, block: Spot, name: str, now: Json, what: str) -> Edit:
        """An attribute in a block that is empty."""
        if now is None or blocks.are(now):
            leave(f"{what} is in a block that is empty; {should_be(now)}")
        content, end = self._sources[block.file], block.node.end_byte - 1
        begin = "" if content[:end].endswith(b"\n") else "\n"
        indent = places.indent(block.node)
        inner = f"{indent}  "
        return Edit(block.file, end, end, f"{begin}{inner}{name} = {hclwrite.value(now, inner)}\n{indent}", what)

    def _without(self, expression: Spot, what: str) -> Edit:
        """Remove the attribute of an expression, with its line."""
        return self._gone(Spot(expression.file, expression.node.parent or expression.node), what)

    def _gone(self, spot: Spot, what: str) -> Edit:
        """Remove a node with the rest of its lines."""
        content, start, end = self._sources[spot.file], spot.node.start_byte, spot.node.end_byte
        begin = content.rfind(b"\n", 0, start) + 1
        if content[begin:start].strip() == b"":
            start = begin
        stop = after_line(content, end)
        if not content[end:stop].strip() or content[end:stop].lstrip().startswith((b"#", b"//")):
            end = stop
        blank = b"\r\n" if content[end:].startswith(b"\r\n") else b"\n"
        if content[:start].endswith((b"\n\n", b"\n\r\n")) and content[end:].startswith(blank):
            end += len(blank)  # one empty line is left, not two
        return Edit(spot.file, start, end, "", what)


def _replaced(spot: Spot, now: Json, what: str) -> Edit:
    text = hclwrite.value(now, places.indent(spot.node))
    end = spot.node.end_byte
    if syntax.text(spot.node).endswith("\n"):  # a heredoc ends with its line
        text += "\n"
    return Edit(spot.file, spot.node.start_byte, end, text, what)
