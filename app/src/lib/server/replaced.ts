/** Ends the server once another build has taken the place of the files that it runs from: it cannot load them any more. */
import { statSync } from 'node:fs';

export const REPLACED =
  'another build has taken the place of this one while it ran, so it ends; start it again to serve the new one';

const started = process.argv[1] ?? '';
const seen = look();
let ending = false;

/** Whether the file that was started is another one now, or none. */
export function replaced(): boolean {
  return look() !== seen;
}

/** Says so once, and ends the process after the answers that are under way. */
export function end(): void {
  if (ending) return;
  ending = true;
  console.error(`${started}: ${REPLACED}`);
  setTimeout(() => process.exit(1), 500);
}

/**
 * A file that is served as it is may be missing by then, and the server for files leaves that error to the process:
 * instead of its traceback, the log gets the sentence. Any other error ends the process as it would without this.
 */
export function explain(): void {
  process.on('uncaughtException', (error) => {
    if (replaced()) {
      end();
      return;
    }
    console.error(error);
    process.exit(1);
  });
}

function look(): string {
  try {
    const { ino, mtimeMs, size } = statSync(started);
    return `${ino} ${mtimeMs} ${size}`;
  } catch {
    return '';
  }
}
