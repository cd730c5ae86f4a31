"""Evaluates expressions as far as possible without the engine, and notes the files that their functions read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import access, expressions, functions, operators, reader, types, values
from .files import TooMuchError
from .scope import Scope
from .values import ANY, ANYTHING, Content, Fields, Items, Start, some, union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .expressions import Expression
    from .facts import Call, Variable
    from .files import Files
    from .values import Alternative, Values

_MOST_STEPS = 100_000  # of one stack's expressions; beyond that, reads count as unknown
_MOST_CONTENT = 2_000_000
_READERS = frozenset(
    {"file", "filebase64", "filebase64sha256", "filebase64sha512", "filemd5", "filesha1", "filesha256", "filesha512",
     "filebase64gzip"}
)  # fmt: skip
Bindings = dict[str, "Values"]


class Evaluator:
    """Evaluates the expressions of one stack, in whose workspace; that is `default` unless the backend chooses it."""

    def __init__(self, files: Files) -> None:
        self.workspace: Values = ("default",)
        self._files = files
        self._steps = 0
        self._open: set[tuple[int, str]] = set()

    def evaluate(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        """The possible values of an expression.

        Args:
            expression: The expression.
            scope: The module that contains it.
            bound: Names known only within a block or loop, such as `each`.

        Raises:
            TooMuchError: It is too large to be followed.
        """
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TooMuchError
        return self._KINDS[expression[0]](self, expression, scope, bound)

    # --- values

    def _literal(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        del scope, bound
        return values.of_json(expression[1])

    def _template(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        parts = [self.evaluate(part, scope, bound) for part in expression[1]]
        return parts[0] if len(parts) == 1 else values.concatenated(map(self._texts, parts))

    def _tuple(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        return (Items(tuple(self.evaluate(item, scope, bound) for item in expression[1])),)

    def _object(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        pairs: dict[str, Values] = {}
        other: Values = ()
        for key, value in expression[1]:
            names = [values.text_of(name) for name in self._texts(self.evaluate(key, scope, bound))]
            found = self.evaluate(value, scope, bound)
            if len(names) == 1 and names[0] is not None:
                pairs[names[0]] = found
            else:
                other = union([other, found])
        return (Fields(tuple((key, union([found, other])) for key, found in pairs.items()), other),)

    def _unknown(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        for inner in expression[1]:
            self.evaluate(inner, scope, bound)
        return ANY

    def _condition(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        """Evaluate both sides, as the engine does."""
        condition, yes, no = (self.evaluate(part, scope, bound) for part in expression[1:])
        if not condition:
            return ()
        if any(isinstance(item, str) for item in (*yes, *no)):
            yes, no = (some(values.of_one_type([*side, ""])[:-1]) for side in (yes, no))
        if all(item in (True, "true", "1") for item in condition):
            return yes
        if all(item in (False, "false", "0") for item in condition):
            return no
        return union([yes, no])

    def _operation(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        operands = [self._texts(self.evaluate(part, scope, bound)) for part in expression[2]]
        return operators.apply(expression[1], operands)

    # --- references

    def _reference(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        name, steps = expression[1], expression[2]
        if name in bound:
            return self._follow(bound[name], steps, scope, bound)
        first = steps[0][1] if steps and steps[0][0] == "a" else None
        if scope.closed or first is None:
            self._follow(ANY, steps, scope, bound)
            return ANY
        if name == "path":
            return (scope.folder if first == "module" else "." if first == "root" else self._files.absolute("."),)
        if name in ("terraform", "tofu") and first == "workspace":
            return self.workspace
        if name == "local":
            return self._follow(self._local(first, scope), steps[1:], scope, bound)
        if name == "var":
            return self._follow(self._variable(first, scope), steps[1:], scope, bound)
        if name == "module":
            return self._output(first, steps[1:], scope, bound)
        return self._attribute([name, *steps], scope, bound)

    def _local(self, name: str, scope: Scope) -> Values:
        if name not in scope.locals:
            return ANY
        return self._once(scope, f"local.{name}", lambda: self.evaluate(scope.locals[name], scope, {}))

    def _variable(self, name: str, scope: Scope) -> Values:
        variable = scope.variables.get(name)
        if variable is None:
            return ANY
        return self._once(scope, f"var.{name}", lambda: self._value(variable, scope))

    def _value(self, variable: Variable, scope: Scope) -> Values:
        """A variable's value: the given one, otherwise its default."""
        given = scope.given(variable.name)
        default: Values = values.of_json(variable.default) if variable.has_default and not variable.sensitive else ANY
        if given is None:
            return types.converted(default, variable.type)
        if not variable.nullable:
            given = union([default if item is None else (item,) for item in given])
        return types.converted(given, variable.type)

    def _once(self, scope: Scope, name: str, make: Callable[[], Values]) -> Values:
        """Evaluate once per scope; what refers to itself may be anything."""
        if name not in scope.known:
            key = (id(scope), name)
            if key in self._open:
                return ANY
            self._open.add(key)
            try:
                scope.known[name] = make()
            finally:
                self._open.discard(key)
        return scope.known[name]

    def _output(self, name: str, steps: list[Any], scope: Scope, bound: Bindings) -> Values:
        """An output of a module, of any of its instances."""
        call = scope.calls.get(name)
        many = False
        while steps and steps[0][0] != "a":
            step, steps = steps[0], steps[1:]
            if step[0] == "*":
                many, steps = True, [*step[1], *steps]
            else:
                self.evaluate(step[1], scope, bound)
        if call is None or not steps or steps[0][0] != "a":
            return ANY
        output = f"output.{steps[0][1]}"
        found = [self._named(inner, output) for inner in scope.instances(scope, call)]
        result = self._follow(union(found) if found else ANY, steps[1:], scope, bound)
        return values.bag(result) if many else result

    def _attribute(self, steps: list[Any], scope: Scope, bound: Bindings) -> Values:
        """An attribute of a resource or data source: one that is set keeps its value."""
        depth = 4 if steps[0] == "data" else 3
        names = [steps[0]]
        rest = steps[1:]
        while rest and len(names) < depth:
            step, rest = rest[0], rest[1:]
            if step[0] == "a":
                names.append(step[1])
            elif step[0] == "i":
                self.evaluate(step[1], scope, bound)
            else:
                return ANY
        address = ".".join(names)
        found = self._named(scope, address)
        return self._follow(some(ANYTHING if item is None else item for item in found), rest, scope, bound)

    def _named(self, scope: Scope, address: str) -> Values:
        """A block's own attribute at an address."""
        if address not in scope.attributes:
            return ANY
        return self._once(scope, address, lambda: self.evaluate(scope.attributes[address], scope, {}))

    def _accessed(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        return self._follow(self.evaluate(expression[1], scope, bound), expression[2], scope, bound)

    def _follow(self, found: Values, steps: list[Any], scope: Scope, bound: Bindings) -> Values:
        for position, step in enumerate(steps):
            if step[0] == "a":
                found = union(access.member(item, step[1]) for item in found)
            elif step[0] == "i":
                keys = self._texts(self.evaluate(step[1], scope, bound))
                found = union(access.indexed(item, keys) for item in found)
            else:
                inner = [*step[1]]
                found = some(self._splat(item, inner, scope, bound) for item in found)
                return self._follow(found, steps[position + 1 :], scope, bound)
        return found

    def _splat(self, item: Alternative, steps: list[Any], scope: Scope, bound: Bindings) -> Alternative:
        if isinstance(item, Start | Content):
            return Items((), ANY)
        if item is None:
            return Items(())
        if not isinstance(item, Items):
            return Items((self._follow((item,), steps, scope, bound),))
        elements = tuple(self._follow(element, steps, scope, bound) for element in item.elements)
        return Items(elements, self._follow(item.other, steps, scope, bound))

    # --- loops

    def _for(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        collection = self.evaluate(expression[3], scope, bound)
        return some(self._looped(item, expression, scope, bound) for item in self._texts(collection))

    def _looped(self, item: Alternative, expression: Expression, scope: Scope, bound: Bindings) -> Alternative:
        _, key_name, value_name, _, key, value, condition, grouped = expression
        exact = values.elements(item) is not None and not getattr(item, "other", ()) and not grouped
        elements: list[Values] = []
        pairs: dict[str, Values] = {}
        other: Values = ()
        for found_key, found_value in access.rounds(item):
            inner = {**bound, value_name: found_value, **({key_name: found_key} if key_name else {})}
            kept = self.evaluate(condition, scope, inner) if condition else (True,)
            if not any(flag not in (False, "false") for flag in kept):
                continue
            sure = exact and all(flag in (True, "true") for flag in kept)
            names = [values.text_of(name) for name in self._texts(self.evaluate(key, scope, inner))] if key else []
            result = self.evaluate(value, scope, inner)
            if key and sure and len(names) == 1 and names[0] is not None:
                pairs[names[0]] = result
            elif key or not sure:
                other = union([other, values.bag(result) if grouped else result])
            else:
                elements.append(result)
        if key:
            return Fields(tuple((name, union([found, other])) for name, found in pairs.items()), other)
        return Items(tuple(elements), other)

    def instances(self, call: Call, scope: Scope) -> Iterator[Bindings]:
        """The values of `each` and `count` in each instance of a called module or data source."""
        if call.repeat is None:
            yield {}
        else:
            yield from self.rounds(call.repeat[0], self.evaluate(call.repeat[1], scope, {}))

    def rounds(self, iterator: str, collection: Values) -> Iterator[Bindings]:
        """The iterator's values for each instance of a block."""
        if iterator == "count":
            for item in self._texts(collection):
                if isinstance(item, int) and item <= values.MOST:
                    yield from ({"count": values.of_json({"index": place})} for place in range(item))
                else:
                    yield {"count": ANY}
            return
        for item in self._texts(collection):
            for key, value in access.rounds(item):
                yield {iterator: (Fields((("key", key), ("value", value))),)}

    def _repeated(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        _, iterator, collection, inner = expression
        for more in self.rounds(iterator, self.evaluate(collection, scope, bound)):
            for each in inner:
                self.evaluate(each, scope, {**bound, **more})
        return ANY

    # --- calls

    def _call(self, expression: Expression, scope: Scope, bound: Bindings) -> Values:
        name = expression[1].removeprefix("core::")
        arguments = [self.evaluate(argument, scope, bound) for argument in expression[2]]
        if expression[3] and arguments:
            spread = self._spread(arguments)
            if spread is None:
                if name in _READERS | {"fileset", "templatefile", "fileexists"}:
                    self._files.read(ANY)
                return ANY
            arguments = spread
        if name in ("try", "coalesce", "merge", "concat", "flatten", "tolist", "toset", "sensitive", "nonsensitive"):
            return functions.call(name, arguments)
        arguments = [self._texts(found) for found in arguments]
        if name in _READERS or name in (
            "fileset",
            "fileexists",
            "templatefile",
            "abspath",
            "templatestring",
            "pathexpand",
        ):
            return self._of_files(name, arguments) if arguments else ANY
        return functions.call(name, arguments)

    def _spread(self, arguments: list[Values]) -> list[Values] | None:
        """The arguments of a call whose last one ends in `...`; None if they are not known."""
        last = arguments[-1]
        if len(last) == 1 and isinstance(last[0], Items) and not last[0].other:
            return [*arguments[:-1], *last[0].elements]
        return None

    def _of_files(self, name: str, arguments: list[Values]) -> Values:
        first = values.as_texts(arguments[0])
        if name == "fileset":
            return self._files.matching(first, values.as_texts(arguments[1])) if len(arguments) > 1 else ANY
        if name in ("abspath", "pathexpand"):
            return some(
                self._files.absolute(item) if isinstance(item, str) and name == "abspath" else _rooted(item)
                for item in first
            )
        if name == "templatestring":
            self._fill_texts(first, arguments[1] if len(arguments) > 1 else ANY)
            return ANY
        self._files.read(first)
        if name == "file":
            return some(Content(item) if isinstance(item, str) else ANYTHING for item in first)
        if name == "fileexists":
            return some(self._files.exists(item) if isinstance(item, str) else ANYTHING for item in first)
        if name == "templatefile":
            self._files.fill(first, arguments[1] if len(arguments) > 1 else ANY)
        return ANY

    def fill(self, template: list[Expression], given: Values) -> None:
        """Evaluate what a template reads with its arguments."""
        for item in given:
            known = values.elements(item)
            bound = {str(key[0]): value for key, value in known if key != ANY} if known else {}
            scope = Scope(".", {}, lambda _: None, {}, {}, {}, lambda *_: [], closed=True)
            for expression in template:
                self.evaluate(expression, scope, bound)

    def _fill_texts(self, texts: Values, given: Values) -> None:
        """Evaluate what templates read that are no files; one whose text is not known may read any file."""
        for item in texts:
            found = reader.template(item.encode(errors="replace")) if isinstance(item, str) else None
            if found is None:
                self._files.read(ANY)
            else:
                self.fill(found, given)

    def _texts(self, found: Values) -> Values:
        """Values with the contents of files read; a missing file fails."""
        if not any(isinstance(item, Content) for item in found):
            return found
        read: list[Alternative] = []
        for item in found:
            if not isinstance(item, Content):
                read.append(item)
            elif (text := self._files.content(item.path)) is not None:
                read.append(text if len(text) < _MOST_CONTENT else ANYTHING)
        return some(read)

    _KINDS: Mapping[str, Callable[[Evaluator, Expression, Scope, Bindings], Values]] = {
        expressions.LITERAL: _literal,
        expressions.TEMPLATE: _template,
        expressions.REFERENCE: _reference,
        expressions.VALUE: _accessed,
        expressions.CALL: _call,
        expressions.CONDITION: _condition,
        expressions.TUPLE: _tuple,
        expressions.OBJECT: _object,
        expressions.FOR: _for,
        expressions.OPERATION: _operation,
        expressions.REPEATED: _repeated,
        expressions.UNKNOWN: _unknown,
    }


def _rooted(item: Alternative) -> Alternative:
    """The result of a function that makes paths absolute, if it cannot be followed."""
    return item if isinstance(item, str) and item.startswith(("/", ".")) else ANYTHING
