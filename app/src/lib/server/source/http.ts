import { parsed } from '$lib/json';
import { ENVIRONMENT, parseLine, parseOverview, RUN_ID, type Line, type Overview } from '$lib/records';
import { KnownEnvironments, type Environment, type Source } from './source';
import type { Fetch } from './transport';

const MAX_SIZE = 64 * 1024 * 1024;
const MONTH = /^\d{4}-\d{2}$/;

interface Cached {
  etag: string;
  text: string;
}

/** Records that `doit publish` sent to an HTTP server or S3: read through the index, so that nothing has to be listed. */
export class HttpSource extends KnownEnvironments<Environment> implements Source {
  readonly isLedger = false;
  readonly behind = false;
  private cache = new Map<string, Cached>();

  constructor(
    readonly name: string,
    private readonly get: Fetch,
    readonly pause: number
  ) {
    super();
  }

  async refresh(): Promise<boolean> {
    const [text, changed] = await this.fetch('index.json');
    if (text === null) return this.forget();
    const index = parsed(text) as { environments?: Record<string, unknown> } | null;
    const names = Object.keys(index?.environments ?? {}).filter((name) => ENVIRONMENT.test(name));
    let any = changed;
    for (const name of names) any = (await this.refreshOne(name, index?.environments?.[name])) || any;
    for (const name of this.known.keys()) if (!names.includes(name)) this.known.delete(name);
    return any;
  }

  async read(environment: string, run: string, kind: 'json' | 'jsonl'): Promise<string | null> {
    if (!this.known.has(environment) || !RUN_ID.test(run)) return null;
    const answer = await this.get(this.address(`${environment}/runs/${run}.${kind}`), {});
    return answer.ok ? await limited(answer) : null;
  }

  private async refreshOne(environment: string, value: unknown): Promise<boolean> {
    const months = Array.isArray(value) ? value.filter((month) => typeof month === 'string' && MONTH.test(month)) : [];
    const [text, overviewChanged] = await this.fetch(`${environment}/overview.json`);
    const shards = await Promise.all(months.map((month) => this.fetch(`${environment}/index/${month}.json`)));
    const known = this.known.get(environment);
    if (known && !overviewChanged && !shards.some(([, changed]) => changed)) return false;
    const lines = shards.flatMap(([shard]) => {
      const { runs = {}, format } = (parsed(shard) ?? {}) as { runs?: Record<string, object>; format?: unknown };
      return Object.values(runs).map((line) => parseLine({ format, ...line }));
    });
    const found = lines.filter((line): line is Line => line !== null && line.environment === environment);
    const own = [...new Map(found.map((line) => [line.id, line])).values()];
    own.sort((one, other) => (one.id < other.id ? 1 : -1));
    this.known.set(environment, { lines: own, overview: parseOverview(parsed(text)) });
    return true;
  }

  private forget(): boolean {
    const changed = this.known.size > 0;
    this.known.clear();
    return changed;
  }

  private address(path: string): string {
    return `${this.name}/${path.split('/').map(encodeURIComponent).join('/')}`;
  }

  /** A file's text, and whether it has changed. */
  private async fetch(path: string): Promise<[string | null, boolean]> {
    const cached = this.cache.get(path);
    const answer = await this.get(this.address(path), {
      headers: cached?.etag ? { 'If-None-Match': cached.etag } : {}
    });
    if (answer.status === 304 && cached) return [cached.text, false];
    if (answer.status === 404) return [null, this.cache.delete(path)];
    if (!answer.ok) throw new Error(`${this.name}: HTTP ${answer.status}`);
    const text = await limited(answer);
    this.cache.set(path, { etag: answer.headers.get('ETag') ?? '', text: text ?? '' });
    return [text, text !== cached?.text];
  }
}

async function limited(answer: Response): Promise<string | null> {
  if (Number(answer.headers.get('Content-Length') ?? 0) > MAX_SIZE) return null;
  const text = await answer.text();
  return text.length > MAX_SIZE ? null : text;
}
