import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { env } from '$env/dynamic/private';
import { FolderSource } from './folder';
import { HttpSource } from './http';
import { LedgerSource } from './ledger';
import { folderFiles, GitLedger, StoreLedger, webFiles, type LedgerHome } from './ledgerhome';
import type { Source } from './source';
import { httpFetch, s3Address, s3Fetch, s3Region, type Fetch } from './transport';

export type { Source } from './source';

const TIMEOUT = 15_000;

/** The source that the environment variables name; throws with what to set when they are invalid. */
export function configured(): Source {
  const location = env.DASHBOARD_SOURCE || '.deploy';
  const pause = Number(env.DASHBOARD_POLL || 15) * 1000;
  if (!(pause >= 1000)) throw new Error('DASHBOARD_POLL must be a number of seconds, at least 1');
  if (location.startsWith('ledger:')) return ledger(location.slice('ledger:'.length), pause);
  if (/^(https?|s3):\/\//.test(location)) return new HttpSource(...server(location), pause);
  if (location.includes('://')) throw new Error('DASHBOARD_SOURCE must be a folder, http(s)://, s3:// or ledger:');
  return new FolderSource(location);
}

/** The address of a server, without credentials, and how requests are sent to it. */
function server(location: string): [string, Fetch] {
  const url = new URL(location);
  if (url.username || url.password)
    throw new Error('DASHBOARD_SOURCE must not contain credentials; use DASHBOARD_TOKEN');
  if (url.protocol === 's3:') return [s3Address(url, env.DASHBOARD_S3_ENDPOINT, s3Region(env)), s3Fetch(env, TIMEOUT)];
  const header = env.DASHBOARD_TOKEN_HEADER || 'Authorization';
  return [location.replace(/\/+$/, ''), httpFetch(env.DASHBOARD_TOKEN ?? '', header, TIMEOUT)];
}

function ledger(location: string, pause: number): Source {
  if (!location) throw new Error('DASHBOARD_SOURCE must name the place of the ledger after `ledger:`');
  const keys = words(env.DASHBOARD_LEDGER_KEYS);
  const observations = words(env.DASHBOARD_OBSERVATIONS_KEYS);
  if (/^(https?|s3):\/\//.test(location)) {
    const environments = words(env.DASHBOARD_ENVIRONMENTS);
    if (environments.length === 0)
      throw new Error('DASHBOARD_ENVIRONMENTS must name the environments of a ledger on a server');
    const [address, get] = server(location);
    const home = new StoreLedger(webFiles(address, get), () => Promise.resolve(environments));
    return new LedgerSource(address, home, keys, observations, pause);
  }
  const isGit = existsSync(join(location, '.git')) || existsSync(join(location, 'objects'));
  const home: LedgerHome = isGit ? new GitLedger(location) : new StoreLedger(...folderFiles(location));
  return new LedgerSource(location, home, keys, observations, pause);
}

function words(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);
}
