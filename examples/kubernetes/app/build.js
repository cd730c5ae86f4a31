// Makes build/server.js of src/server.js, with the version that doit-tofu gives: the digest of these sources.
const fs = require('node:fs');

fs.mkdirSync('build', { recursive: true });
const source = fs.readFileSync('src/server.js', 'utf8');
fs.writeFileSync('build/server.js', source.replace('VERSION', process.env.DOIT_TOFU_BUILD ?? 'by hand'));
