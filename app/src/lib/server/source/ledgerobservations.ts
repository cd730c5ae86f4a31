import { isObject, number, object, parsed, text } from '$lib/json';
import { keyId, opened, signedBy } from './ledgerchain';
import type { Receipts } from './ledgerrecords';

type Json = Record<string, unknown>;

const KIND = 'application/vnd.doit-tofu.ledger-observations+json';
const FORMAT = 1;

/** What checks for drift found, beside an environment's ledger. */
export interface Observations {
  writes: number;
  stacks: Json;
}

/** The observations in a signed document. Throws, with what is wrong; `keys` are those trusted, none trusts any. */
export function observationsOf(environment: string, data: Buffer, keys: string[], seen: number): Observations {
  const envelope = opened(data, KIND, 'what is there');
  const found = object(parsed(envelope.content.toString('utf8')));
  if (number(found.format) > FORMAT) throw new Error('a newer doit-tofu writes them; update the dashboard');
  if (text(found.environment) !== environment)
    throw new Error(`they belong to the environment ${text(found.environment)}`);
  if (keys.length > 0 && !keys.some((key) => signedBy(envelope, key)))
    throw new Error(`they are not signed by the key ${keys.map(keyId).join(' or ')}`);
  const writes = number(found.writes);
  if (writes < seen)
    throw new Error(`they were rolled back to an earlier version: number ${writes}, but ${seen} was seen`);
  return { writes, stacks: object(found.stacks) };
}

/** The facts about drift by stack, as `overview.json` has them; none of a check before the stack's last apply. */
export function driftOf(observations: Observations, receipts: Receipts): Map<string, Json> {
  const found = new Map<string, Json>();
  for (const [stack, value] of Object.entries(observations.stacks)) {
    const item = object(value);
    const plan = text((receipts.get(stack) ?? {}).plan_sha256);
    const [last, ended] = [item.last, item.ended].map((check) =>
      isObject(check) && text(check.plan) === plan ? check : null
    );
    const facts: Json = {};
    const answer = last && text(last.status) === 'failed' ? ended : last;
    if (answer) facts.drift = driftFact(answer, item);
    if (last) {
      const bad = text(last.status) === 'failed';
      facts.drift_check = fact(last, bad ? 'failed' : 'ended', bad ? failure(last) : '');
    }
    found.set(stack, facts);
  }
  return found;
}

function driftFact(check: Json, item: Json): Json {
  const status = text(check.status);
  if (status !== 'drifted' && status !== 'undeployed') return fact(check, 'none', '');
  const since = Object.values(object(item.drifts)).map((drift) => text(object(drift).since));
  const earliest = since.filter(Boolean).sort()[0];
  return { ...fact(check, status, words(check, status)), ...(status === 'drifted' && earliest && { since: earliest }) };
}

function fact(check: Json, status: string, said: string): Json {
  return { at: text(check.began), since: text(check.began), status, text: said, run: null };
}

function words(check: Json, status: string): string {
  if (text(check.text)) return text(check.text);
  const by = text(check.run) ? `, by ${text(check.run)}` : '';
  if (status === 'drifted') return `drifted: ${plural(number(check.drifted), 'difference')}${by}`;
  return `differs from the code: ${plural(number(check.pending), 'change')}${by}`;
}

function failure(check: Json): string {
  return text(check.text) || `the reason is in ${text(check.run) ? `the log of ${text(check.run)}` : 'its log'}`;
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
