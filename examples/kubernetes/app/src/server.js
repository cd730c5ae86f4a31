const http = require('node:http');

const version = 'VERSION';

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(request.url === '/healthz' ? `ok ${version}\n` : `Hello from version ${version}.\n`);
});
server.listen(8080);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
