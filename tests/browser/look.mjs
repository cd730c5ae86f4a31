// Opens a page as four readers would and prints their complaints as JSON.
// Usage: node look.mjs CHROMIUM PAGE.html FOLDER_FOR_SCREENSHOTS
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [browserPath, page, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const readers = [];
for (const colorScheme of ["light", "dark"]) {
  readers.push({ name: `${colorScheme}-desktop`, colorScheme, viewport: { width: 1280, height: 900 } });
  readers.push({ name: `${colorScheme}-phone`, colorScheme, viewport: { width: 360, height: 740 } });
}

const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
const complaints = [];
for (const { name, ...options } of readers) {
  const context = await browser.newContext(options);
  const tab = await context.newPage();
  const complain = (what) => complaints.push(`${name}: ${what}`);
  tab.on("dialog", async (dialog) => { complain(`dialog ${dialog.message()}`); await dialog.dismiss(); });
  tab.on("request", (request) => { if (!request.url().startsWith("file:")) complain(`requests ${request.url()}`); });
  tab.on("console", (message) => { if (message.type() === "error") complain(`console: ${message.text()}`); });
  await tab.goto(`file://${page}`);
  await tab.screenshot({ path: `${folder}/${name}.png` });
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) complain(`${wide} pixels wider than the window`);
  // Every fold opens from the keyboard.
  const folds = await tab.locator("summary").count();
  for (let place = 0; place < Math.min(folds, 3); place++) {
    const fold = tab.locator("details").nth(place);
    const before = await fold.evaluate((element) => element.open);
    await tab.locator("summary").nth(place).focus();
    await tab.keyboard.press("Enter");
    if ((await fold.evaluate((element) => element.open)) === before) complain("a fold does not respond to the keyboard");
    if (before) await tab.keyboard.press("Enter");
  }
  await tab.screenshot({ path: `${folder}/${name}-open.png` });
  // axe takes minutes for thousands of lines, so a few lines of each diff represent the rest.
  await tab.evaluate(() => {
    for (const part of [...document.querySelectorAll("article")].slice(40)) part.remove();
    for (const lines of document.querySelectorAll("pre")) for (const line of [...lines.children].slice(20)) line.remove();
  });
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => axe.run());
  for (const { id, impact, nodes } of violations) {
    if (["serious", "critical"].includes(impact)) complain(`axe ${impact} ${id}: ${nodes[0].html.slice(0, 160)}`);
  }
  await context.close();
}
await browser.close();
console.log(JSON.stringify(complaints));
