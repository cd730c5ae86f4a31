// Sets a server's clock ahead, by the seconds in the file that CLOCK_AHEAD names; loaded by `node --import`.
import { readFileSync } from 'node:fs';

const now = Date.now;
Date.now = () => now() + 1000 * Number(readFileSync(process.env.CLOCK_AHEAD, 'utf8'));
