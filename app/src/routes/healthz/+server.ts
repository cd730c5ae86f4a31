import { json } from '@sveltejs/kit';
import { version } from '$app/environment';
import { env } from '$env/dynamic/private';

/** The server runs; which version, as it was deployed, and which build. */
export const GET = () => json({ status: 'ok', version: env.DASHBOARD_VERSION || version, build: version });
