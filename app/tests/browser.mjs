// Visits pages in a real browser: `node tests/browser.mjs CHROMIUM ORIGIN SCREENSHOTS PATH...`. Prints one line of JSON for
// each visit: what axe-core found to be serious, what the console said, whether the page is wider than the window.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [executablePath, origin, screenshots, ...paths] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const SERIOUS = new Set(['serious', 'critical']);

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    // The page's own policy forbids scripts that are not its own; axe is brought past it, as a browser extension would.
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
    for (const path of paths) {
      const page = await context.newPage();
      const said = [];
      page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
      page.on('pageerror', (error) => said.push(String(error)));
      page.on('request', (request) => {
        if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) said.push(`request to ${request.url()}`);
      });
      const response = await page.goto(origin + path, { waitUntil: 'load' });
      await page.locator('.live.on').waitFor({ state: 'attached' });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const violations = found.violations
        .filter((item) => SERIOUS.has(item.impact))
        .map((item) => `${item.id}: ${item.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(' | ')}`);
      const name = `${path.replace(/[^A-Za-z0-9]+/g, '-')}-${size}-${colorScheme}`.replace(/^-/, '');
      if (screenshots !== '-') await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
      const title = await page.title();
      console.log(JSON.stringify({ path, size, colorScheme, status: response.status(), title, wide, violations, said }));
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
