import { array, number, numbers, object, optional, text } from '$lib/json';
import type { Entry, Head } from './ledgerchain';

type Json = Record<string, unknown>;

const EVENTS: Record<string, string> = { deploy: 'deploy', verify: 'verify', destroy: 'deploy' };

/** Receipts by stack: the shards of a ledger. */
export type Receipts = Map<string, Json>;

/** An overview as `overview.json` has it; `drift` are facts by stack, of observations. */
export function overviewOf(head: Head, receipts: Receipts, entries: Entry[], drift: Map<string, Json>): Json {
  const latest = new Map<string, Entry>();
  for (const entry of entries) if (entry.stack !== null && entry.kind === 'deploy') latest.set(entry.stack, entry);
  const names = new Set([...receipts.keys(), ...head.begun]);
  const stacks = [...names].sort().map((name): [string, Json] => {
    const receipt = receipts.get(name) ?? {};
    return [name, { ...stackOf(head, name, receipt, latest.get(name)), ...drift.get(name) }];
  });
  const commits = [...receipts.values()].map((receipt) => text(object(receipt.deployed).at)).sort();
  const newest = [...receipts.values()].find((receipt) => text(object(receipt.deployed).at) === commits.at(-1));
  return { commit: newest ? optional(object(newest.deployed).commit) : null, stacks: Object.fromEntries(stacks) };
}

function stackOf(head: Head, name: string, receipt: Json, entry: Entry | undefined): Json {
  const deployed = object(receipt.deployed);
  const at = text(receipt.finished_at) || text(receipt.started_at);
  const pipeline = entry ? pipelineOf(entry) : null;
  const fact = (status: string, more: Json = {}): Json => ({ at, since: at, status, text: '', run: null, ...more });
  const found: Json = { path: `stacks/${name}`, needs: [], has_checks: receipt.checks ? 1 : 0 };
  if (text(deployed.at)) {
    const since = text(deployed.at);
    found.deployed = fact('deployed', { at: since, since, commit: deployed.commit, pipeline });
  }
  if (receipt.outcome) found.apply = fact(text(receipt.outcome));
  if (receipt.verified === true || receipt.verified === false) found.checks = fact(receipt.verified ? 'ok' : 'failed');
  if (head.begun.includes(name)) {
    const by = head.lease ? `being deployed by ${head.lease.label}` : 'its last apply was started and never ended';
    found.affected = fact('affected', { at: head.lease?.since ?? at, since: head.lease?.since ?? at, text: by });
  }
  return found;
}

/** The runs that entries tell of, by id: entries of one pipeline that follow each other. */
export function runsOf(environment: string, entries: Entry[]): Map<string, Json> {
  const groups: Entry[][] = [];
  for (const entry of entries) {
    if (entry.stack === null || !(entry.kind in EVENTS)) continue;
    const group = groups.at(-1);
    if (group && sameRun(group[0], entry)) group.push(entry);
    else groups.push([entry]);
  }
  return new Map(
    groups.map((group): [string, Json] => {
      const run = runOf(environment, group);
      return [text(run.id), run];
    })
  );
}

function sameRun(one: Entry | undefined, other: Entry): boolean {
  const key = (entry: Entry): string => {
    const by = object(entry.facts.by);
    return text(by.pipeline) ? `${text(by.project)} ${text(by.pipeline)}` : `commit ${text(entry.facts.commit)}`;
  };
  return one !== undefined && key(one) === key(other);
}

function runOf(environment: string, group: Entry[]): Json {
  const [first] = group as [Entry];
  const times = group.map((entry) => entry.at).sort();
  const failed = group.filter((entry) => text(entry.facts.outcome) === 'failed');
  const stacks = new Set(group.map((entry) => entry.stack));
  const tasks = group.map((entry): Json => {
    const stage = EVENTS[entry.kind] ?? 'deploy';
    const bad = stage === 'verify' ? entry.facts.verified === false : text(entry.facts.outcome) === 'failed';
    return {
      stage,
      stack: entry.stack,
      status: bad ? 'failed' : 'ok',
      summary: summary(entry, stage, bad),
      counts: numbers(entry.facts.counts),
      offset: 0,
      seconds: 0,
      kind: '',
      needs: [],
      reasons: [],
      drifted: [],
      checks: []
    };
  });
  return {
    format: 2,
    id: runId(first),
    environment,
    command: 'deploy',
    stages: [...new Set(tasks.map((task) => task.stage))],
    started_at: times[0],
    ended_at: times.at(-1),
    written_at: times.at(-1),
    seconds: null,
    exit_code: failed.length > 0 ? 1 : 0,
    verdict: failed.length > 0 ? `failed: ${failed.map((entry) => entry.stack).join(', ')}` : '',
    commit: optional(first.facts.commit),
    branch: optional(object(first.facts.by).branch),
    pipeline: pipelineOf(first),
    stacks: stacks.size,
    unaffected: 0,
    touched: [...stacks],
    tasks,
    graph: {}
  };
}

function summary(entry: Entry, stage: string, bad: boolean): string {
  if (stage === 'verify') return bad ? 'checks failed' : 'checks passed';
  const serial = entry.facts.serial === undefined ? '' : `, serial ${number(entry.facts.serial)}`;
  return `${bad ? 'apply failed' : 'applied'}${serial}; entry ${entry.sequence} of the ledger`;
}

function pipelineOf(entry: Entry): Json | null {
  const by = object(entry.facts.by);
  if (!text(by.pipeline)) return null;
  const approvers = array(by.approvers).map(text).filter(Boolean);
  const review = [text(by.request), approvers.length > 0 ? `approved by ${approvers.join(', ')}` : ''];
  return {
    forge: '',
    id: text(by.pipeline),
    url: optional(by.url),
    job: optional(by.job),
    actor: text(by.actor),
    review: review.filter(Boolean).join(', ') || null
  };
}

/** An id of the form of a run's, from the first entry: when, and the first digits of its own id. */
function runId(entry: Entry): string {
  const time = new Date(entry.at);
  const stamp = Number.isNaN(time.getTime()) ? new Date(0) : time;
  const digits = stamp.toISOString().replace(/[-:]|\.\d+/g, '');
  return `${digits}-${entry.id.slice(0, 6).padEnd(6, '0')}`;
}
