// Makes root/: this machine's Node.js with the shared libraries that it loads, to begin an image with in place of a base
// that has to be downloaded.
import { cpSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error(
    `the image is for linux on x64, and this is ${process.platform} on ${process.arch}:` +
      ' build it from Containerfile, which has a base'
  );
  process.exit(1);
}

const root = fileURLToPath(new URL('root', import.meta.url));
rmSync(root, { recursive: true, force: true });

/** @param {string} from @param {string} to */
function copy(from, to) {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  cpSync(realpathSync(from), join(root, to));
}

const { sharedObjects } = /** @type {{ sharedObjects: string[] }} */ (process.report.getReport());
// Debian's Node.js reads some of its own modules from files, which only its build's settings name.
const { defines } = /** @type {{ defines: string[] }} */ (process.config.target_defaults);
const modules = defines.flatMap((text) => text.match(/^NODE_SHARED_BUILTIN_.*_PATH=(.*)$/)?.[1] ?? []);

copy(process.execPath, '/usr/bin/node');
// Beside files the report names the kernel's own linux-vdso, which has no path.
for (const path of [...sharedObjects, ...modules]) if (path.startsWith('/')) copy(path, path);
