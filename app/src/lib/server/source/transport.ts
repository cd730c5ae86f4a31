import { AwsClient } from 'aws4fetch';

export type Fetch = (url: string, options: RequestInit) => Promise<Response>;

/** Requests to an HTTP server. A token is sent as a bearer token in `Authorization`, or as it is in another header. */
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

/** The region of a bucket; us-east-1 unless the environment variables name one. */
export const s3Region = (environment: Record<string, string | undefined>): string =>
  environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? 'us-east-1';

/** Requests to S3, signed with the credentials in the environment variables. */
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

/** The address of a prefix in a bucket: path style at an endpoint, else Amazon's. */
export function s3Address(location: URL, endpoint: string | undefined, region: string): string {
  const prefix = location.pathname.replace(/^\/+|\/+$/g, '');
  const base = endpoint
    ? `${endpoint.replace(/\/+$/, '')}/${location.host}`
    : `https://${location.host}.s3.${region}.amazonaws.com`;
  return prefix ? `${base}/${prefix}` : base;
}
