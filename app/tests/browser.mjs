// Visits pages in a real browser: `node tests/browser.mjs CHROMIUM ORIGIN SCREENSHOTS PATH...`. Prints one line of JSON for
// each visit: serious findings of axe-core, console messages, and whether the page is wider than the window.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [executablePath, origin, screenshots, ...paths] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const SERIOUS = new Set(['serious', 'critical']);

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

/** Visit every page in one size and colour scheme, one after the other. */
async function visitAll(size, viewport, colorScheme) {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage(); // one tab for all of them: a new one starts another process
  for (const path of paths) {
    const said = [];
    page.removeAllListeners();
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith('data:'))
        said.push(`request to ${request.url()}`);
    });
    const response = await page.goto(origin + path, { waitUntil: 'load' });
    await page.locator('.live.on').waitFor({ state: 'attached' });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.evaluate(axe); // evaluated outside the page's content security policy, like an extension
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const violations = found.violations
      .filter((item) => SERIOUS.has(item.impact))
      .map(
        (item) =>
          `${item.id}: ${item.nodes
            .map((node) => node.html.slice(0, 120))
            .slice(0, 3)
            .join(' | ')}`
      );
    const name = `${path.replace(/[^A-Za-z0-9]+/g, '-')}-${size}-${colorScheme}`.replace(/^-/, '');
    if (screenshots !== '-') await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
    const title = await page.title();
    console.log(JSON.stringify({ path, size, colorScheme, status: response.status(), title, wide, violations, said }));
  }
  await context.close();
}

const visits = Object.entries(SIZES).flatMap(([size, viewport]) =>
  ['light', 'dark'].map((colorScheme) => visitAll(size, viewport, colorScheme))
);
await Promise.all(visits);
await browser.close();
