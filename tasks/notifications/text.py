"""Renders a message's title and body from built-in or custom templates, short enough for a chat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..reports import environment, sandbox, together
from ..reports.causes import Groups

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..project import model
    from ..run.run import Run
    from .events import Item
    from .memory import Message

TITLE = (
    "{% if event == 'test' %}Test of {{ channel }} ({{ environment }})"
    "{% else %}{{ environment }}: {{ words[event] }}{% if stacks %}: {{ stacks[:3] | join(', ') }}"
    "{% if stacks | length > 3 %} and {{ stacks | length - 3 }} more{% endif %}{% endif %}{% endif %}"
)
BODY = """\
{% if event == 'test' %}doit-tofu reaches this channel.
{% endif %}
{% set told = causes if event == 'failure' else items %}
{% for item in told[:10] %}
{% if event == 'recovery' %}
{{ item.stack or item.command }}: \
{{ 'repaired' if item.kind == 'drift' and item.stack in repaired else 'recovered' }}; was \
{{ 'drifted' if item.kind == 'drift' else 'failing' }} since \
{{ item.since[:16] | replace('T', ' ') }} UTC{% if item.what %}: {{ item.what }}{% endif %}

{% else %}
{% set also = item.also | default([]) %}
{{ item.stack or 'run' }}{% for name in also[:2] %}, {{ name }}{% endfor %}\
{% if also | length > 2 %} and {{ also | length - 2 }} more{% endif %} \
({{ item.stage }}): {{ item.what }}
{% if item.next_step and event == 'failure' %}  next: {{ item.next_step }}
{% endif %}
{% for name, command in item.ways %}  {{ name }}: `{{ command }}`
{% endfor %}
{% endif %}
{% endfor %}
{% if told | length > 10 %}and {{ told | length - 10 }} more
{% endif %}
{% for way in ways | default([]) if event == 'drift' %}
{% if loop.first %}all of them:
{% endif %}
  {{ way.name }}: {% for command in way.commands %}`{{ command }}`{{ ", " if not loop.last }}{% endfor %}\
{% if way.left %} and {{ way.left }} more, one for each stack{% endif %}

{% endfor %}
{% if event == 'failure' and deployed %}deployed in this run: {{ deployed[:10] | join(', ') }}\
{% if deployed | length > 10 %} and {{ deployed | length - 10 }} more{% endif %}

{% endif %}
{% if event == 'failure' and not_run %}not run: {{ not_run[:10] | join(', ') }}\
{% if not_run | length > 10 %} and {{ not_run | length - 10 }} more{% endif %}

{% endif %}
{% if commit %}commit {{ commit }}
{% endif %}
{% if link %}{{ link }}
{% endif %}
"""
# What calls people, but not in an address (ada@example.test); and links with their own text, Slack's and Markdown's.
_CALL = re.compile(r"(?<![\w.+-])@(?=\w)|<(?=[!@#]|[a-z]+:)|\](?=\()", re.IGNORECASE)
_WORDS = {"failure": "FAILED", "drift": "drifted", "recovery": "recovered", "deploy": "deployed", "test": "test"}
_LONGEST_TITLE, _LONGEST_BODY = 200, 3000


def render(run: Run, settings: model.Channel, message: Message) -> tuple[str, str]:
    """A message's title and body, masked; a broken template is reported and replaced by the built-in one."""
    values = {**values_of(settings, message), "causes": _causes(message.items, run.project.stacks)}
    offered = [item.offered for item in message.items if item.offered]
    values["ways"] = [way._asdict() for way in together.ways(offered, run.project.stacks)] if offered[1:] else []
    title = _one(run, settings, "title", TITLE, values)
    body = _one(run, settings, "body", BODY, values)
    return _cut(" ".join(title.split()), _LONGEST_TITLE), _cut(body.strip(), _LONGEST_BODY)


def values_of(settings: model.Channel, message: Message) -> dict[str, Any]:
    """The values for templates, also the data of webhooks; events are already masked."""
    items = [item.to_json() for item in message.items]
    stacks = list(dict.fromkeys(item.stack for item in message.items if item.stack))
    return {
        "event": message.event, "environment": message.environment, "channel": settings.label, "stacks": stacks,
        "items": items, **message.facts,
    }  # fmt: skip


def _causes(items: Sequence[Item], known: Collection[str] = ()) -> list[dict[str, Any]]:
    """The first item of each cause, with the other stacks that it failed (`also`) and a next step for all of them."""
    groups: Groups[list[Item]] = Groups()
    found: list[list[Item]] = []

    def first() -> list[Item]:
        found.append([])
        return found[-1]

    for item in items:
        groups.of(item.stage, item.stack, item.problem, item.what, first).append(item)
    return [_cause(group, known) for group in found]


def _cause(group: Sequence[Item], known: Collection[str]) -> dict[str, Any]:
    problems = [(item.stack, item.problem) for item in group if item.problem is not None]
    told = {"next_step": together.problem(problems, known).next_text} if problems else {}
    return {**group[0].to_json(), **told, "also": [item.stack for item in group[1:]]}


def _one(run: Run, settings: model.Channel, name: str, builtin: str, values: dict[str, Any]) -> str:
    own = getattr(settings, name)
    if own is not None:
        try:
            text = run.mask.text(sandbox.render(own, _known(run, values)))
            if text.strip() or values["event"] != "test":  # a test has nothing to list, and no service takes nothing
                return text
        except sandbox.TemplateFailedError as error:
            first = str(error).partition("\n")[0]
            run.say_once(
                f"{settings.label}: the template `{name}` is broken, so the built-in one was used:"
                f" {error.kind}: {run.mask.text(first)[:200]}"
            )
    return environment.sandboxed().from_string(builtin).render(**_known(run, values))


def _known(run: Run, values: dict[str, Any]) -> dict[str, Any]:
    """Everything a template may use, including words."""
    return {"words": _WORDS, "deploy": run.command("deploy").quoted, **quiet(values)}


def quiet(value: Any) -> Any:
    """The same value with texts that notify no one and hide no link.

    `@all`, `@here`, `<!channel>` and `[text](address)` in values are only shown. The project's own template is not
    changed, so it can mention people on purpose.
    """
    if isinstance(value, dict):
        return {key: quiet(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [quiet(item) for item in value]
    return _CALL.sub(lambda found: f"{found[0]}\u200b", value) if isinstance(value, str) else value


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 4].rstrip() + " ..."
