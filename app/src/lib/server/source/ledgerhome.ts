import { execFile, spawn } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { array, object, parsed, text } from '$lib/json';
import { sha256 } from './ledgerchain';
import type { Receipts } from './ledgerrecords';
import type { Fetch } from './transport';

const MOST = 256 * 1024 * 1024;
const REF = /^refs\/(?:heads|remotes\/[^/]+)\/doit-tofu\/([^/]+)\/(ledger|observations)$/;
const ADDED = /^:\d{6} \d{6} [0-9a-f]+ ([0-9a-f]+) [AM]\tentries\/(\d+)$/;
const DIGEST = /^[0-9a-f]{64}$/;
const AT_ONCE = 16;

export interface Version {
  token: string;
  head: Buffer;
}

export type Entries = [number, Buffer][];

/** Where ledgers are kept; what is read is not verified here, except against digests. */
export interface LedgerHome {
  /** What is wrong if no environment has one. */
  readonly missing: string;
  /** The environments that have a ledger. */
  environments(): Promise<string[]>;
  /** The newest version; null without one. */
  read(environment: string): Promise<Version | null>;
  /** The newest version of the observations beside it; null without any. */
  observations(environment: string): Promise<Version | null>;
  /** The entries after a number, oldest first. */
  entries(environment: string, version: Version, after: number): Promise<Entries>;
  /** The receipts in the shards that a head names by their digests. */
  shards(environment: string, version: Version, digests: Record<string, string>): Promise<Receipts>;
}

/** The branches of a clone or of a bare repository, as they are there; nothing is fetched. */
export class GitLedger implements LedgerHome {
  readonly missing = 'it has no branch doit-tofu/<environment>/ledger; git fetch brings it from the remote';
  private refs = new Map<string, string>();

  constructor(private readonly folder: string) {}

  async environments(): Promise<string[]> {
    const listed = await this.git('for-each-ref', '--format=%(refname)', 'refs/heads', 'refs/remotes');
    this.refs.clear();
    const environments = new Set<string>();
    for (const name of listed.toString('utf8').split('\n')) {
      const [, environment, part] = REF.exec(name) ?? [];
      if (!environment) continue;
      if (part === 'ledger') environments.add(environment);
      const key = `${environment}/${part}`;
      if (!this.refs.get(key)?.startsWith('refs/remotes/')) this.refs.set(key, name);
    }
    return [...environments];
  }

  read(environment: string): Promise<Version | null> {
    return this.version(`${environment}/ledger`);
  }

  observations(environment: string): Promise<Version | null> {
    return this.version(`${environment}/observations`);
  }

  private async version(key: string): Promise<Version | null> {
    const ref = this.refs.get(key);
    if (ref === undefined) return null;
    const token = (await this.git('rev-parse', '--verify', `${ref}^{commit}`)).toString('utf8').trim();
    const [head] = await this.objects([`${token}:head`]);
    if (!head) throw new Error('it has no head');
    return { token, head };
  }

  async entries(_environment: string, version: Version, after: number): Promise<Entries> {
    const listing = ['log', '--reverse', '--topo-order', '--root', '-m', '--first-parent', '--raw', '--no-abbrev'];
    const output = await this.git(
      ...listing,
      '--no-renames',
      '--format=tformat:commit',
      version.token,
      '--',
      'entries'
    );
    let known = new Map<number, string>();
    for (const commit of output.toString('utf8').split('commit\n')) {
      const added = commit.split('\n').map((line) => ADDED.exec(line));
      const found = new Map(added.flatMap((item) => (item ? [[Number(item[2]), item[1] ?? ''] as const] : [])));
      known = found.has(1) ? found : new Map([...known, ...found]); // a ledger that was rebuilt starts over
    }
    const wanted = [...known].filter(([number]) => number > after).sort(([one], [other]) => one - other);
    const contents = await this.objects(wanted.map(([, object]) => object));
    return wanted.flatMap(([number], index) => (contents[index] ? [[number, contents[index]]] : []) as Entries);
  }

  async shards(_environment: string, version: Version, digests: Record<string, string>): Promise<Receipts> {
    const named = Object.entries(digests);
    const contents = await this.objects(named.map(([name]) => `${version.token}:shards/${name}.json`));
    return receipts(named.map(([name, digest], index) => checked(`shards/${name}.json`, contents[index], digest)));
  }

  /** The contents of objects, by one process; undefined for what does not exist. */
  private async objects(names: string[]): Promise<(Buffer | undefined)[]> {
    if (names.length === 0) return [];
    const output = await this.given(names.map((name) => `${name}\n`).join(''), 'cat-file', '--batch');
    let position = 0;
    return names.map(() => {
      const end = output.indexOf(10, position);
      const words = output.toString('utf8', position, end).split(' ');
      position = end + 1;
      if (words.length < 3 || words.at(-1) === 'missing') return undefined;
      const size = Number(words[2]);
      const content = output.subarray(position, position + size);
      position += size + 1;
      return content;
    });
  }

  private git(...words: string[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { encoding: 'buffer' as const, maxBuffer: MOST, env: quiet() };
      execFile('git', ['-C', this.folder, ...words], options, (error, out, said) =>
        error ? reject(new Error(`git ${words[0]}: ${said.toString('utf8').trim() || error.message}`)) : resolve(out)
      );
    });
  }

  private given(text: string, ...words: string[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const child = spawn('git', ['-C', this.folder, ...words], { stdio: ['pipe', 'pipe', 'ignore'], env: quiet() });
      const chunks: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve(Buffer.concat(chunks)) : reject(new Error(`git ${words[0]} ended with ${code}`))
      );
      child.stdin.on('error', () => undefined); // it ended before it had read all; its code says why
      child.stdin.end(text);
    });
  }
}

/** Nothing of git's may ask, or fetch what a partial clone lacks. */
function quiet(): NodeJS.ProcessEnv {
  return { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_NO_LAZY_FETCH: '1', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };
}

/** Reads a file of a store; null without one. */
export type ReadFile = (path: string) => Promise<Buffer | null>;

/** A store of files: a folder, an HTTP server or S3. */
export class StoreLedger implements LedgerHome {
  readonly missing = 'it holds no ledger';

  constructor(
    private readonly get: ReadFile,
    private readonly names: () => Promise<string[]>
  ) {}

  environments(): Promise<string[]> {
    return this.names();
  }

  read(environment: string): Promise<Version | null> {
    return this.version(`${environment}/ledger`);
  }

  observations(environment: string): Promise<Version | null> {
    return this.version(`${environment}/observations`);
  }

  private async version(folder: string): Promise<Version | null> {
    const content = await this.get(`${folder}/head`);
    if (content === null) return null;
    const end = content.indexOf(10);
    if (end < 0) throw new Error('it is not a ledger');
    return { token: content.toString('utf8', 0, end), head: content.subarray(end + 1) };
  }

  async entries(environment: string, version: Version, after: number): Promise<Entries> {
    let link = linkOf(version.token);
    const pages = [link];
    while (link.before && !((link.entries[0]?.[0] ?? Infinity) <= after + 1)) {
      link = linkOf((await this.object(environment, 'a page of entries', link.before)).toString('utf8'));
      pages.push(link);
    }
    const wanted = pages.reverse().flatMap((page) => page.entries.filter(([number]) => number > after));
    const found: Entries = [];
    for (let start = 0; start < wanted.length; start += AT_ONCE) {
      const some = wanted.slice(start, start + AT_ONCE);
      const contents = some.map(([number, digest]) => this.object(environment, `entry ${number}`, digest));
      (await Promise.all(contents)).forEach((content, index) => found.push([some[index]?.[0] ?? 0, content]));
    }
    return found;
  }

  async shards(environment: string, _version: Version, digests: Record<string, string>): Promise<Receipts> {
    const wanted = Object.entries(digests);
    return receipts(await Promise.all(wanted.map(([name, digest]) => this.object(environment, name, digest))));
  }

  private async object(environment: string, name: string, digest: string): Promise<Buffer> {
    if (!DIGEST.test(digest)) throw new Error(`${name} has no digest`);
    const path = `${environment}/ledger/objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
    return checked(name, (await this.get(path)) ?? undefined, digest);
  }
}

/** The files of a folder. */
export function folderFiles(folder: string): [ReadFile, () => Promise<string[]>] {
  const read: ReadFile = async (path) => {
    try {
      const file = join(folder, path);
      return (await stat(file)).size > MOST ? null : await readFile(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  };
  const names = async () => {
    const found = await readdir(folder, { withFileTypes: true });
    const folders = found.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const heads = await Promise.all(folders.map((name) => read(`${name}/ledger/head`)));
    return folders.filter((_, index) => heads[index] !== null);
  };
  return [read, names];
}

/** The files of a server. */
export function webFiles(address: string, get: Fetch): ReadFile {
  return async (path) => {
    const answer = await get(`${address}/${path.split('/').map(encodeURIComponent).join('/')}`, {});
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  };
}

function linkOf(line: string): { entries: [number, string][]; before: string } {
  const value = object(parsed(line));
  const named = array(value.entries).map(array);
  return { entries: named.map((item) => [Number(item[0]), text(item[1])]), before: text(value.before) };
}

function checked(name: string, content: Buffer | undefined, digest: string): Buffer {
  if (!content) throw new Error(`${name}, which its head names, is missing`);
  if (sha256(content) !== digest) throw new Error(`${name} does not match the digest in its head`);
  return content;
}

function receipts(shards: Buffer[]): Receipts {
  const found: Receipts = new Map();
  for (const shard of shards) {
    for (const [stack, record] of Object.entries(object(parsed(shard.toString('utf8')))))
      found.set(stack, object(object(record).receipt));
  }
  return found;
}
