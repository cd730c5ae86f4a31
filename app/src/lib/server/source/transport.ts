import { AwsClient } from 'aws4fetch';

export type Fetch = (url: string, options: RequestInit) => Promise<Response>;

/** A plain HTTP server; with a token, in `Authorization` as a bearer token or in another header as it is. */
export function httpFetch(token: string, header: string, timeout: number): Fetch {
  const headers: Record<string, string> = token
    ? { [header]: header.toLowerCase() === 'authorization' ? `Bearer ${token}` : token }
    : {};
  return (url, options) =>
    fetch(url, {
      ...options,
      headers: { ...headers, ...options.headers },
      redirect: token ? 'error' : 'follow',
      signal: AbortSignal.timeout(timeout)
    });
}

/** The region of a bucket, where the environment names none. */
export const s3Region = (environment: Record<string, string | undefined>): string =>
  environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? 'us-east-1';

/** S3: requests are signed with the credentials of the environment. */
export function s3Fetch(environment: Record<string, string | undefined>, timeout: number): Fetch {
  const client = new AwsClient({
    accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
    sessionToken: environment.AWS_SESSION_TOKEN,
    service: 's3',
    region: s3Region(environment)
  });
  return (url, options) => client.fetch(url, { ...options, signal: AbortSignal.timeout(timeout) });
}

/** The address of a bucket's part: path style at an endpoint, else Amazon's own. */
export function s3Address(location: URL, endpoint: string | undefined, region: string): string {
  const prefix = location.pathname.replace(/^\/+|\/+$/g, '');
  const base = endpoint
    ? `${endpoint.replace(/\/+$/, '')}/${location.host}`
    : `https://${location.host}.s3.${region}.amazonaws.com`;
  return prefix ? `${base}/${prefix}` : base;
}
