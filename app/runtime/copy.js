// Creates root/: this machine's Node.js and the shared libraries that it loads, for an image that needs no base image.
import { cpSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error(
    `this image needs linux/x64, but this machine is ${process.platform}/${process.arch}:` +
      ' build from Containerfile, which uses a base image'
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
// Debian's Node.js loads some built-in modules from files that only its build settings name.
const { defines } = /** @type {{ defines: string[] }} */ (process.config.target_defaults);
const modules = defines.flatMap((text) => text.match(/^NODE_SHARED_BUILTIN_.*_PATH=(.*)$/)?.[1] ?? []);

copy(process.execPath, '/usr/bin/node');
// The report also lists the kernel's linux-vdso, which has no path.
for (const path of [...sharedObjects, ...modules]) if (path.startsWith('/')) copy(path, path);
