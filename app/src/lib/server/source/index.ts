import { env } from '$env/dynamic/private';
import { FolderSource } from './folder';
import { HttpSource } from './http';
import type { Source } from './source';
import { httpFetch, s3Address, s3Fetch, s3Region } from './transport';

export type { Source } from './source';

const TIMEOUT = 15_000;

/** The source that the environment variables name; throws with what to set when they are invalid. */
export function configured(): Source {
  const location = env.DASHBOARD_SOURCE || '.deploy';
  const pause = Number(env.DASHBOARD_POLL || 15) * 1000;
  if (!(pause >= 1000)) throw new Error('DASHBOARD_POLL must be a number of seconds, at least 1');
  if (/^https?:\/\//.test(location)) {
    const url = new URL(location);
    if (url.username || url.password)
      throw new Error('DASHBOARD_SOURCE must not contain credentials; use DASHBOARD_TOKEN');
    const fetch = httpFetch(env.DASHBOARD_TOKEN ?? '', env.DASHBOARD_TOKEN_HEADER || 'Authorization', TIMEOUT);
    return new HttpSource(location.replace(/\/+$/, ''), fetch, pause);
  }
  if (location.startsWith('s3://')) {
    const address = s3Address(new URL(location), env.DASHBOARD_S3_ENDPOINT, s3Region(env));
    return new HttpSource(address, s3Fetch(env, TIMEOUT), pause);
  }
  if (location.includes('://')) throw new Error('DASHBOARD_SOURCE must be a folder, http(s):// or s3://');
  return new FolderSource(location);
}
