import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { isObject, number, object, optional, parsed, text } from '$lib/json';

const HEAD = 'application/vnd.doit-tofu.ledger-head+json';
const STATEMENT = 'application/vnd.in-toto+json';
const FORMAT = 3;
const SPKI = Buffer.from('302a300506032b6570032100', 'hex'); // what stands before the 32 bytes of an Ed25519 key

export interface Lease {
  label: string;
  since: string;
}

export interface Head {
  ledger: string;
  environment: string;
  sequence: number;
  chain: string;
  key: string | null;
  shards: Record<string, string>;
  lease: Lease | null;
  begun: string[];
  first: number;
  previous: string;
  firstKey: string | null;
}

export interface Entry {
  sequence: number;
  id: string;
  kind: string;
  at: string;
  stack: string | null;
  facts: Record<string, unknown>;
}

export interface Envelope {
  type: string;
  content: Buffer;
  signatures: { keyid: string; sig: string }[];
}

export const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/**
 * The chain of an environment's ledger: verified as its entries are added, oldest first. Throws, with what is wrong, at
 * the first fault. What an earlier chain has verified is not read again.
 */
export class Chain {
  readonly entries: Entry[] = [];
  private head: Head | null = null;
  private previous = '';
  private key: string | null = null;
  /** The number of the last entry that was verified. */
  last = 0;

  constructor(
    private readonly environment: string,
    private readonly trusted: string[],
    private readonly before?: Chain
  ) {}

  /** Read the head: where the chain has to lead to. */
  begin(data: Buffer): Head {
    const envelope = opened(data, HEAD, 'the head');
    const head = parsedHead(envelope.content);
    if (head.environment !== this.environment) throw new Error(`it belongs to the environment ${head.environment}`);
    if (this.trusted.length > 0 && (head.key === null || !this.trusted.includes(head.key)))
      throw new Error(head.key === null ? 'it is not signed' : `it is signed with the unknown key ${keyId(head.key)}`);
    if (head.key !== null && !signedBy(envelope, head.key)) throw new Error('the head is not signed by its key');
    this.head = head;
    const before = this.before;
    const seen = before?.head;
    if (before && seen) {
      if (seen.ledger !== head.ledger || head.sequence < seen.sequence)
        throw new Error(
          `it lacks entries that were seen here: it was rewritten (${seen.sequence} -> ${head.sequence})`
        );
      this.take(before, head);
    }
    if (this.last === 0) {
      this.last = head.first - 1;
      this.previous = head.previous;
      this.key = head.firstKey;
    }
    return head;
  }

  /** Verify the next entry. */
  add(position: number, data: Buffer): void {
    const expected = this.last + 1;
    if (position < expected) return;
    if (position > expected) throw new Error(`entry ${expected} is missing`);
    const envelope = opened(data, STATEMENT, `entry ${position}`);
    const statement = parsed(envelope.content.toString('utf8'));
    const found = object(object(statement).predicate);
    if (number(found.format) > FORMAT) throw new Error(`entry ${position} was written by a newer doit-tofu`);
    if (text(found.ledger) !== this.head?.ledger || text(found.environment) !== this.environment)
      throw new Error(`entry ${position} belongs to another ledger`);
    if (number(found.sequence) !== position) throw new Error(`entry ${position} is numbered ${number(found.sequence)}`);
    if (text(found.previous) !== this.previous)
      throw new Error(`entry ${position} does not follow entry ${position - 1}: one of them was changed or inserted`);
    const key = optional(found.key) ?? this.key;
    if (key !== null && !signedBy(envelope, key))
      throw new Error(`entry ${position} was changed, or is not signed by the key ${keyId(key)}`);
    if (key !== this.key && this.key !== null && found.lost !== true && !signedBy(envelope, this.key))
      throw new Error(`entry ${position} replaces the key ${keyId(this.key)}, which did not sign that`);
    this.key = key;
    this.previous = sha256(data);
    this.last = position;
    this.entries.push({
      sequence: position,
      id: text(found.id),
      kind: text(found.kind),
      at: text(found.at),
      stack: optional(found.stack),
      facts: object(found.facts)
    });
  }

  /** All entries were added: they have to lead to the head. */
  end(): void {
    const head = this.head;
    if (head === null) return;
    if (this.last < head.sequence)
      throw new Error(`entry ${this.last + 1} is missing: the head is at ${head.sequence}`);
    if (this.last > head.sequence) throw new Error(`the head is at ${head.sequence}, but the chain goes on: it is old`);
    if (head.sequence > 0 && this.previous !== head.chain)
      throw new Error(`entry ${this.last} was changed or replaced`);
    if (this.key !== head.key) throw new Error('the head names a different key than the chain');
  }

  private take(before: Chain, head: Head): void {
    if (before.last < head.first - 1) return;
    this.entries.push(...before.entries.filter((entry) => entry.sequence >= head.first));
    this.last = before.last;
    this.previous = before.previous;
    this.key = before.key;
  }
}

function parsedHead(content: Buffer): Head {
  const value = object(parsed(content.toString('utf8')));
  if (number(value.format) > FORMAT) throw new Error('a newer doit-tofu writes it; update the dashboard');
  const start = object(value.checkpoint);
  const lease = isObject(value.lease) ? { label: text(value.lease.label), since: text(value.lease.since) } : null;
  const shards = Object.entries(object(value.shards)).filter(
    (item): item is [string, string] => /^[0-9a-f]{2}$/.test(item[0]) && typeof item[1] === 'string'
  );
  return {
    ledger: text(value.ledger),
    environment: text(value.environment),
    sequence: number(value.sequence),
    chain: text(value.chain),
    key: optional(value.key),
    shards: Object.fromEntries(shards),
    lease,
    begun: Object.keys(object(value.begun)),
    first: number(start.first) || 1,
    previous: text(start.previous),
    firstKey: optional(start.key)
  };
}

export function opened(data: Buffer, type: string, what: string): Envelope {
  const value = object(parsed(data.toString('utf8')));
  if (text(value.payloadType) !== type) throw new Error(`${what} cannot be read`);
  const signatures = Array.isArray(value.signatures) ? value.signatures.map(object) : [];
  return {
    type,
    content: Buffer.from(text(value.payload), 'base64'),
    signatures: signatures.map((item) => ({ keyid: text(item.keyid), sig: text(item.sig) }))
  };
}

export function signedBy(envelope: Envelope, key: string): boolean {
  const kind = Buffer.from(envelope.type);
  const message = Buffer.concat([
    Buffer.from(`DSSEv1 ${kind.length} `),
    kind,
    Buffer.from(` ${envelope.content.length} `),
    envelope.content
  ]);
  const id = keyId(key);
  const known = publicKey(key);
  return (
    known !== null &&
    envelope.signatures.some(
      (item) => item.keyid === id && verify(null, message, known, Buffer.from(item.sig, 'base64'))
    )
  );
}

function publicKey(key: string): KeyObject | null {
  const raw = Buffer.from(key, 'base64');
  return raw.length === 32 ? createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' }) : null;
}

export function keyId(key: string): string {
  return sha256(Buffer.from(key, 'base64')).slice(0, 16);
}
