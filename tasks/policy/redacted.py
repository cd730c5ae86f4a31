"""The engine's plan JSON for other programs: the same structure, with sensitive values replaced in place.

A checker decides by what it sees, so that must not depend on what the code declares as a secret. Only two things are
replaced: what the engine marks, at its position, and within values the secrets that come from outside of the code
(`Masker.given`). A sensitive variable with the value `delete` or `0.0.0.0/0` changes nothing else. The format:
https://opentofu.org/docs/internals/json-format/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact.changes import redact
from ..artifact.plansecrets import sensitive_variables
from ..base.errors import PolicyError
from ..base.jsonvalue import fields, named, records
from ..base.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..base.jsonvalue import Json, JsonObject
    from ..base.masking import Masker


def redacted(plan: Mapping[str, Json], mask: Masker) -> JsonObject:
    """A plan without the values that the engine marks as sensitive.

    Args:
        plan: The output of `show -json` for a saved plan; it is not modified.
        mask: The known secrets, including the plan's.

    Raises:
        PolicyError: It does not have the structure of a plan, so it cannot be judged.
    """
    try:
        return _Redaction(mask).plan(plan)
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise PolicyError(
            f"what the engine says of the plan does not have the structure of a plan: {type(error).__name__}",
            untouched="nothing was applied: a plan that cannot be judged is refused",
            next_step="plan again; if that does not help, report it with the engine's version",
        ) from error


class _Redaction:
    """One redaction of a plan.

    Args:
        mask: The known secrets, including those of the plan.
    """

    def __init__(self, mask: Masker) -> None:
        self._mask = mask

    def plan(self, plan: Mapping[str, Json]) -> JsonObject:
        found = dict(plan)
        for key in ("resource_changes", "resource_drift"):
            if found.get(key):
                found[key] = [{**item, "change": self._change(fields(item["change"]))} for item in records(found[key])]
        if found.get("output_changes"):
            found["output_changes"] = {
                name: self._change(item) for name, item in named(found["output_changes"]).items()
            }
        if found.get("planned_values"):
            found["planned_values"] = self._values(fields(found["planned_values"]))
        prior = fields(found.get("prior_state"))
        if prior.get("values"):
            found["prior_state"] = {**prior, "values": self._values(fields(prior["values"]))}
        if found.get("checks"):
            found["checks"] = [self._check(item) for item in records(found["checks"])]
        configuration = fields(found.get("configuration"))
        root = fields(configuration.get("root_module"))
        if found.get("variables"):
            sensitive = set(sensitive_variables(root))
            found["variables"] = {
                name: {**item, "value": self._value(item.get("value"), name in sensitive)}
                for name, item in named(found["variables"]).items()
            }
        if configuration:
            found["configuration"] = self._configuration(configuration)
        return found

    def _value(self, value: Json, marks: Json) -> Json:
        """A value without its marked parts and without secrets from outside of the code."""
        return self._mask.given.value(redact(value, marks))

    def _change(self, change: JsonObject) -> JsonObject:
        found = dict(change)
        for side in ("before", "after"):
            if side in change:
                found[side] = self._value(change[side], change.get(f"{side}_sensitive"))
        for key in ("importing", "before_identity", "after_identity", "generated_config"):
            if key in change:
                found[key] = self._value(change[key], None)
        return found

    def _values(self, values: JsonObject) -> JsonObject:
        found = dict(values)
        if found.get("outputs"):
            found["outputs"] = {
                name: {**item, "value": self._value(item["value"], item.get("sensitive"))} if "value" in item else item
                for name, item in named(found["outputs"]).items()
            }
        if found.get("root_module"):
            found["root_module"] = self._module(fields(found["root_module"]))
        return found

    def _module(self, module: JsonObject) -> JsonObject:
        found = dict(module)
        if found.get("resources"):
            found["resources"] = [self._resource(item) for item in records(found["resources"])]
        if found.get("child_modules"):
            found["child_modules"] = [self._module(child) for child in records(found["child_modules"])]
        return found

    def _resource(self, item: JsonObject) -> JsonObject:
        found = dict(item)
        if "values" in found:
            found["values"] = self._value(found["values"], found.get("sensitive_values"))
        return found

    def _check(self, check: JsonObject) -> JsonObject:
        """A check; the messages of its problems are free text that may contain any value."""
        found = dict(check)
        if found.get("instances"):
            found["instances"] = [
                {
                    **item,
                    "problems": [{**one, "message": self._mask.text(str(one.get("message", "")))} for one in problems],
                }
                if (problems := records(item.get("problems")))
                else item
                for item in records(found["instances"])
            ]
        return found

    def _configuration(self, configuration: JsonObject) -> JsonObject:
        found = dict(configuration)
        if found.get("root_module"):
            found["root_module"] = self._declared(fields(found["root_module"]))
        if found.get("provider_config"):
            found["provider_config"] = {
                name: {**item, "expressions": self._constants(item["expressions"])} if "expressions" in item else item
                for name, item in named(found["provider_config"]).items()
            }
        return found

    def _declared(self, module: JsonObject) -> JsonObject:
        """A module's configuration with the defaults and values of sensitive variables replaced."""
        found = dict(module)
        sensitive = set(sensitive_variables(module))
        if found.get("variables"):
            found["variables"] = {
                name: {**item, "default": self._value(item["default"], name in sensitive)}
                if "default" in item
                else item
                for name, item in named(found["variables"]).items()
            }
        if found.get("outputs"):
            found["outputs"] = {name: self._output(item) for name, item in named(found["outputs"]).items()}
        if found.get("resources"):
            found["resources"] = [self._constants(item) for item in records(found["resources"])]
        if found.get("module_calls"):
            found["module_calls"] = {name: self._call(call) for name, call in named(found["module_calls"]).items()}
        return found

    def _output(self, output: JsonObject) -> Json:
        expression = output.get("expression")
        if output.get("sensitive") and isinstance(expression, dict) and "constant_value" in expression:
            return {**output, "expression": {**expression, "constant_value": MASK}}
        return self._constants(output)

    def _call(self, call: JsonObject) -> JsonObject:
        found = {key: self._constants(item) if key.endswith("_expression") else item for key, item in call.items()}
        called = fields(found.get("module"))
        sensitive = set(sensitive_variables(called))
        if found.get("module"):
            found["module"] = self._declared(called)
        if found.get("expressions"):
            found["expressions"] = {
                name: {**item, "constant_value": self._value(item["constant_value"], True)}
                if name in sensitive and isinstance(item, dict) and "constant_value" in item
                else self._constants(item)
                for name, item in fields(found["expressions"]).items()
            }
        return found

    def _constants(self, expression: Json) -> Json:
        """An expression whose constants contain no secret from outside of the code."""
        if isinstance(expression, dict):
            return {
                key: self._value(item, None) if key == "constant_value" else self._constants(item)
                for key, item in expression.items()
            }
        if isinstance(expression, list):
            return [self._constants(item) for item in expression]
        return expression
