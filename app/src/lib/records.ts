// The records that doit-tofu writes, as docs/reference.md of the project describes them. They come from outside: what is
// not as expected is left out, never trusted and never a crash.

export type Status =
  'ok' | 'unaffected' | 'deferred' | 'drifted' | 'undeployed' | 'failed' | 'not_run' | 'running' | 'killed' | 'stopped';

export interface Pipeline {
  forge: string;
  id: string;
  url: string | null;
  job: string | null;
  project: string;
  actor: string;
  review: string | null;
}

export interface Task {
  name: string;
  stage: string;
  stack: string;
  status: Status;
  summary: string;
  reasons: string[];
  counts: Record<string, number>;
  offset: number;
  seconds: number;
  needs: string[];
  kind: string;
  drifted: string[];
  checks: string[];
}

/** What is known of a run without its tasks: enough for lists. */
export interface Line {
  /** Whether a newer doit-tofu wrote it, with things that are not known here. */
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
  pid: number;
  stacks: number;
  unaffected: number;
  statuses: Record<string, number>;
  touched: string[];
}

export interface RunRecord extends Line {
  tasks: Task[];
  graph: Record<string, string[]>;
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
  needs: string[];
  hasChecks: boolean;
  deployed: Fact | null;
  apply: Fact | null;
  affected: Fact | null;
  drift: Fact | null;
  checks: Fact | null;
  locked: Fact | null;
}

export interface Overview {
  environment: string;
  at: string;
  commit: string | null;
  stacks: StackEntry[];
}

export interface Change {
  address: string;
  type: string;
  action: string;
  reason: string;
  before: unknown;
  after: unknown;
  movedFrom: string;
  imported: boolean;
  replacePaths: string[];
  changed: string[];
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
  checks: string[];
  resources: Change[];
  outputs: Change[];
  outside: Change[];
  hasChanges: boolean;
}

/** What a failed task left for people. */
export type Failure = Pick<Details, 'error' | 'log'>;

type Json = Record<string, unknown>;

const STATUSES = new Set<string>([
  'ok',
  'unaffected',
  'deferred',
  'drifted',
  'undeployed',
  'failed',
  'not_run',
  'running'
]);

const FORMAT = 1;
export const RUN_ID = /^\d{8}T\d{6}Z-[0-9a-f]{6}$/;
export const ENVIRONMENT = /^(?!__proto__$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const object = (value: unknown): Json => (isObject(value) ? value : {});
/** The entries of an object; `__proto__`, which cannot be sent to a browser, is nobody's name. */
const entries = (value: unknown): [string, unknown][] =>
  Object.entries(object(value)).filter(([name]) => name !== '__proto__');
const array = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const optional = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const texts = (value: unknown): string[] => array(value).filter((item): item is string => typeof item === 'string');

function numbers(value: unknown): Record<string, number> {
  return Object.fromEntries(entries(value).filter((pair): pair is [string, number] => typeof pair[1] === 'number'));
}

function web(value: unknown): string | null {
  return typeof value === 'string' && /^https?:\/\//.test(value) ? value : null;
}

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
    project: text(value.project),
    actor: text(value.actor),
    review: optional(value.review)
  };
}

/** A run's line, from its record or from an index; null when it is neither. */
export function parseLine(value: unknown): Line | null {
  if (!isObject(value) || !RUN_ID.test(text(value.id)) || !ENVIRONMENT.test(text(value.environment))) return null;
  const tasks = array(value.tasks).map(object);
  const process = object(value.process);
  const statuses = numbers(value.statuses);
  for (const task of tasks) statuses[text(task.status)] = (statuses[text(task.status)] ?? 0) + 1;
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
    host: text(process.host),
    pid: number(process.pid),
    stacks: number(value.stacks),
    unaffected: number(value.unaffected),
    statuses,
    touched: [...touched].sort()
  };
}

/** A run's whole record; null when it is none. */
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
      drifted: texts(task.drifted),
      checks: checks(task.checks)
    }));
  const once = new Map(tasks.map((task) => [task.name, task]));
  const graph = Object.fromEntries(entries(source.graph).map(([name, needs]) => [name, texts(needs)]));
  return { ...line, tasks: [...once.values()], graph };
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

/** An environment's overview; null when it is none. */
export function parseOverview(value: unknown): Overview | null {
  if (!isObject(value)) return null;
  const stacks = entries(value.stacks).map(([name, item]): StackEntry => {
    const entry = object(item);
    return {
      name,
      path: text(entry.path),
      needs: texts(entry.needs),
      hasChecks: number(entry.has_checks) > 0,
      deployed: fact(entry.deployed),
      apply: fact(entry.apply),
      affected: fact(entry.affected),
      drift: fact(entry.drift),
      checks: fact(entry.checks),
      locked: fact(entry.locked)
    };
  });
  return { environment: text(value.environment), at: text(value.at), commit: optional(value.commit), stacks };
}

function change(value: unknown): Change {
  const item = object(value);
  const paths = array(item.replace_paths).map((path) => array(path).map(String).join('.'));
  return {
    address: text(item.address) || (text(item.name) ? `output ${text(item.name)}` : ''),
    type: text(item.type),
    action: text(item.action),
    reason: text(item.reason),
    before: item.before,
    after: item.after,
    movedFrom: text(item.moved_from),
    imported: item.imported === true,
    replacePaths: paths,
    changed: texts(item.changed)
  };
}

/** A line of a run's task records; null when it is torn or none. */
export function parseDetails(line: string): Details | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
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
    checks: checks(details.checks),
    hasChanges: isObject(details.changes),
    resources: array(changes.resources).map(change),
    outputs: array(changes.outputs).map(change),
    outside: array(changes.drift).map(change)
  };
}

/** Seconds after which a run that has not ended and was not written is taken for dead. */
const SILENCE = 60;

/** How a run is to be shown. */
export function runStatus(line: Line, clock = Date.now()): Status {
  if (line.endedAt === null) return clock - Date.parse(line.writtenAt) > SILENCE * 1000 ? 'killed' : 'running';
  if (line.stopped) return 'stopped';
  if (line.exitCode === 0) return 'ok';
  return line.exitCode === 2 ? 'drifted' : 'failed';
}

/** The runs that go on. */
export const running = (lines: Line[]): Line[] =>
  lines.filter((line) => line.endedAt === null && runStatus(line) === 'running');
