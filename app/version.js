// The version of the app: a digest of its sources, known before the build and the same on every machine.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const parts = [
  'src',
  'static',
  'package.json',
  'package-lock.json',
  'svelte.config.js',
  'vite.config.ts',
  'version.js'
];

/** @param {string} path @returns {string[]} */
function files(path) {
  try {
    return readdirSync(path)
      .sort()
      .flatMap((name) => files(join(path, name)));
  } catch {
    return [path];
  }
}

/** The first 12 hex digits of the SHA-256 of all sources. */
export function digest() {
  const hash = createHash('sha256');
  for (const path of parts.flatMap((part) => files(join(root, part)))) {
    try {
      const content = readFileSync(path);
      hash.update(`${relative(root, path)}\0${content.length}\0`).update(content);
    } catch {
      continue; // a part that does not exist, or an empty folder
    }
  }
  return hash.digest('hex').slice(0, 12);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(digest());
