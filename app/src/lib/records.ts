// The records that doit-tofu writes, as docs/reference.md of the project describes them. They are untrusted input: what is
// not as expected is dropped, and nothing throws.

import { array, entries, isObject, number, numbers, object, optional, parsed, text, texts, web } from './json';
import { parseProblem, parseShared, type Problem, type Shared } from './problem';

export type Status =
  | 'ok'
  | 'unaffected'
  | 'deferred'
  | 'drifted'
  | 'undeployed'
  | 'failed'
  | 'not_run'
  | 'skipped'
  | 'adopted'
  | 'running'
  | 'killed'
  | 'stopped';

export interface Pipeline {
  forge: string;
  id: string;
  url: string | null;
  job: string | null;
  actor: string;
  review: string | null;
}

/** Numbers of changes by kind: `add`, `change`, `replace`, `destroy`, ... */
export type Counts = Record<string, number>;

export interface Task {
  name: string;
  stage: string;
  stack: string;
  status: Status;
  summary: string;
  reasons: string[];
  counts: Counts;
  offset: number;
  seconds: number;
  needs: string[];
  kind: string;
  /** The first task of the run that failed for the same cause; empty if it did not fail, or an older release ran it. */
  cause: string;
  /** What a drift check found, and the addresses of what it no longer found. */
  findings: Finding[];
  resolved: string[];
  /** What can be done about what has drifted. */
  ways: Way[];
  checks: string[];
}

/** What a command does about drift, and the command. */
export interface Way {
  what: string;
  command: string;
}

/** Something that differs from what was deployed. */
export interface Finding {
  /** `changed`, `deleted`, `appeared`, `outputs`, `check`, `state` or `undeployed`. */
  class: string;
  address: string;
  severity: string;
  /** Compared with the previous check: `new`, `changed again`, `known` or `unknown`. */
  delta: string;
  since: string;
  /** Why a rule ignores it; null if none does. */
  ignored: string | null;
}

/** What can be done about several stacks, with the number of those that are left out. */
export interface GroupWay {
  what: string;
  commands: string[];
  left: number;
}

/** A run without its tasks: enough for lists. */
export interface Line {
  /** Whether a newer doit-tofu wrote it, possibly with fields that are unknown here. */
  newer: boolean;
  id: string;
  environment: string;
  command: string;
  stages: string[];
  startedAt: string;
  endedAt: string | null;
  writtenAt: string;
  seconds: number | null;
  exitCode: number | null;
  stopped: boolean;
  verdict: string;
  commit: string | null;
  branch: string | null;
  dirty: boolean;
  pipeline: Pipeline | null;
  host: string;
  stacks: number;
  unaffected: number;
  touched: string[];
  /** The changes of all stacks, by stage. */
  counts: Record<string, Counts>;
  /** How many tasks ended with each status. */
  statuses: Record<string, number>;
  /** When the commit was made; empty unless the run deployed. */
  committedAt: string;
}

export interface RunRecord extends Line {
  tasks: Task[];
  graph: Record<string, string[]>;
  /** By the first task that failed for a cause: what holds for all that did. */
  shared: Record<string, Shared>;
  /** What can be done about all stacks that have drifted; empty where only one has. */
  ways: GroupWay[];
}

export interface Fact {
  at: string;
  status: string;
  since: string;
  run: string | null;
  text: string;
  commit: string | null;
  pipeline: Pipeline | null;
}

export interface StackEntry {
  name: string;
  path: string;
  owners: string[];
  needs: string[];
  hasChecks: boolean;
  deployed: Fact | null;
  apply: Fact | null;
  affected: Fact | null;
  drift: Fact | null;
  /** Whether the last check for drift came to an answer. */
  driftCheck: Fact | null;
  checks: Fact | null;
  locked: Fact | null;
}

/** A rule of the configuration that stops applying after its last day. */
export interface Rule {
  kind: string;
  name: string;
  reason: string;
  until: string;
}

export interface Overview {
  commit: string | null;
  /** The environment that is deployed first; null if this one does not follow another. */
  follows: string | null;
  rules: Rule[];
  stacks: StackEntry[];
}

export interface Change {
  address: string;
  action: string;
  reason: string;
  movedFrom: string;
  imported: boolean;
  /** The diff as the reports show it. */
  lines: DiffLine[];
  /** How many further lines it has. */
  left: number;
}

/** `+` after, `-` before, a space for what stays, `@` where a hunk begins, `!` a remark. */
export interface DiffLine {
  sign: string;
  text: string;
}

export interface Details {
  task: string;
  stage: string;
  stack: string;
  status: Status;
  summary: string;
  reasons: string[];
  error: string;
  log: string;
  /** Null in records of an older doit-tofu, which have only a text. */
  problem: Problem | null;
  checks: string[];
  resources: Change[];
  outputs: Change[];
  hasChanges: boolean;
}

/** What a failed task says about its failure. */
export type Failure = Pick<Details, 'error' | 'log' | 'problem'>;

const STATUSES = new Set<string>([
  'ok',
  'unaffected',
  'deferred',
  'drifted',
  'undeployed',
  'failed',
  'not_run',
  'skipped',
  'adopted',
  'running'
]);

const FORMAT = 2;
export const RUN_ID = /^\d{8}T\d{6}Z-[0-9a-f]{6}$/;
export const ENVIRONMENT = /^(?!__proto__$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

function status(value: unknown): Status {
  return typeof value === 'string' && STATUSES.has(value) ? (value as Status) : 'not_run';
}

function pipeline(value: unknown): Pipeline | null {
  if (!isObject(value)) return null;
  return {
    forge: text(value.forge),
    id: text(value.id),
    url: web(value.url),
    job: web(value.job),
    actor: text(value.actor),
    review: optional(value.review)
  };
}

/** A run's line, from its record or an index; null when the value is neither. */
export function parseLine(value: unknown): Line | null {
  if (!isObject(value) || !RUN_ID.test(text(value.id)) || !ENVIRONMENT.test(text(value.environment))) return null;
  const touched = new Set([...texts(value.touched), ...Object.keys(object(value.graph))]);
  return {
    newer: number(value.format) > FORMAT,
    id: text(value.id),
    environment: text(value.environment),
    command: text(value.command),
    stages: texts(value.stages),
    startedAt: text(value.started_at),
    endedAt: optional(value.ended_at),
    writtenAt: text(value.written_at),
    seconds: typeof value.seconds === 'number' ? value.seconds : null,
    exitCode: typeof value.exit_code === 'number' ? value.exit_code : null,
    stopped: value.stopped === true,
    verdict: text(value.verdict),
    commit: optional(value.commit),
    branch: optional(value.branch),
    dirty: value.dirty === true,
    pipeline: pipeline(value.pipeline),
    host: text(object(value.process).host),
    stacks: number(value.stacks),
    unaffected: number(value.unaffected),
    touched: [...touched].sort(),
    counts: Object.fromEntries(entries(value.counts).map(([stage, found]) => [stage, numbers(found)])),
    statuses: value.statuses ? numbers(value.statuses) : statuses(value.tasks),
    committedAt: text(value.committed_at)
  };
}

function statuses(tasks: unknown): Record<string, number> {
  const found: Record<string, number> = {};
  for (const task of array(tasks)) {
    const name = status(object(task).status);
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

/** A run's whole record; null when the value is not one. */
export function parseRun(value: unknown): RunRecord | null {
  const line = parseLine(value);
  if (!line) return null;
  const source = object(value);
  const tasks = array(source.tasks)
    .map(object)
    .map((task): Task => ({
      name: `${text(task.stage)}:${text(task.stack)}`,
      stage: text(task.stage),
      stack: text(task.stack),
      status: status(task.status),
      summary: text(task.summary),
      reasons: texts(task.reasons),
      counts: numbers(task.counts),
      offset: number(task.offset),
      seconds: number(task.seconds),
      needs: texts(task.needs),
      kind: text(task.kind),
      cause: text(task.cause),
      findings: array(task.findings).map(finding),
      resolved: texts(task.resolved),
      ways: array(task.ways)
        .map(object)
        .map((way) => ({ what: text(way.what), command: text(way.command) })),
      checks: checks(task.checks)
    }));
  const once = new Map(tasks.map((task) => [task.name, task]));
  const graph = Object.fromEntries(entries(source.graph).map(([name, needs]) => [name, texts(needs)]));
  const shared = Object.fromEntries(entries(source.causes).map(([cause, found]) => [cause, parseShared(found)]));
  const ways = array(source.ways)
    .map(object)
    .map((way) => ({ what: text(way.name), commands: texts(way.commands), left: number(way.left) }));
  return { ...line, tasks: [...once.values()], graph, shared, ways };
}

function finding(value: unknown): Finding {
  const item = object(value);
  return {
    class: text(item.class),
    address: text(item.address),
    severity: text(item.severity),
    delta: text(item.delta),
    since: text(item.since),
    ignored: typeof item.ignored === 'string' ? item.ignored : null
  };
}

function checks(value: unknown): string[] {
  return array(value).map((item) =>
    typeof item === 'string' ? item : text(object(item).text) || JSON.stringify(item)
  );
}

function fact(value: unknown): Fact | null {
  if (!isObject(value) || typeof value.status !== 'string') return null;
  const run = text(value.run);
  return {
    at: text(value.at),
    status: value.status,
    since: text(value.since),
    run: RUN_ID.test(run) ? run : null,
    text: text(value.text),
    commit: optional(value.commit),
    pipeline: pipeline(value.pipeline)
  };
}

/** An environment's overview; null when the value is not one. */
export function parseOverview(value: unknown): Overview | null {
  if (!isObject(value)) return null;
  const stacks = entries(value.stacks).map(([name, item]): StackEntry => {
    const entry = object(item);
    return {
      name,
      path: text(entry.path),
      owners: texts(entry.owners),
      needs: texts(entry.needs),
      hasChecks: number(entry.has_checks) > 0,
      deployed: fact(entry.deployed),
      apply: fact(entry.apply),
      affected: fact(entry.affected),
      drift: fact(entry.drift),
      driftCheck: fact(entry.drift_check),
      checks: fact(entry.checks),
      locked: fact(entry.locked)
    };
  });
  const rules = array(value.rules).map((item): Rule => {
    const { kind, name, reason, until } = object(item);
    return { kind: text(kind), name: text(name), reason: text(reason), until: text(until) };
  });
  return { commit: optional(value.commit), follows: optional(value.follows), rules, stacks };
}

function change(value: unknown): Change {
  const item = object(value);
  return {
    address: text(item.address) || (text(item.name) ? `output ${text(item.name)}` : ''),
    action: text(item.action),
    reason: text(item.reason),
    movedFrom: text(item.moved_from),
    imported: item.imported === true,
    lines: array(item.lines).map((line) => ({ sign: text(array(line)[0]), text: text(array(line)[1]) })),
    left: number(item.more_lines)
  };
}

/** A line of a run's task records; null when it is incomplete or not one. */
export function parseDetails(line: string): Details | null {
  const value = parsed(line);
  if (!isObject(value)) return null;
  const details = object(value.details);
  const changes = object(details.changes);
  return {
    task: text(value.task),
    stage: text(value.stage),
    stack: text(value.stack),
    status: status(value.status),
    summary: text(value.summary),
    reasons: texts(value.reasons),
    error: text(value.error),
    log: text(value.log),
    problem: parseProblem(value.problem),
    checks: checks(details.checks),
    hasChanges: isObject(details.changes),
    resources: array(changes.resources).map(change),
    outputs: array(changes.outputs).map(change)
  };
}
