// Drives one headless Chromium for the tests: a line of JSON in is a command, a line of JSON out its answer, in order.
//
//   node -e "$(cat drive.cjs)" NODE_MODULES CHROMIUM
//   {"do": "open", "url": …, "dark": bool, "width": …, "height": …, "before": …}    a new page; "before" runs before what it has of its own; its console
//                                             and its errors go to stderr
//   {"do": "look", "page": n, "dark": bool, "width": …, "height": …}   changes how it is looked at
//   {"do": "press", "page": n, "key": …}      a key, as Playwright names it
//   {"do": "drag", "page": n, "path": [[x, y], …]}     the mouse pressed at the first place and let go at the last
//   {"do": "eval", "page": n, "js": …}        an expression, awaited; {"value": …}
//   {"do": "shot", "page": n, "file": …, "whole": bool}      a picture of what is seen, or of the whole page
//   {"do": "close", "page": n}
//
// The browser ends with the input.
"use strict";
const { createInterface } = require("node:readline");
const { chromium } = require(process.argv[1] + "/playwright-core");

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"];

const size = ({ width, height }) => ({ width: width || 1280, height: height || 800 });

const pages = [];
const commands = {
  async open(browser, c) {
    const context = await browser.newContext({ viewport: size(c), colorScheme: c.dark ? "dark" : "light" });
    const page = await context.newPage();
    if (c.before) await page.addInitScript(c.before);
    const n = pages.push(page) - 1;
    page.on("console", (m) => console.error("page " + n + ": " + (m.type() === "error" ? "error: " : "") + m.text()));
    page.on("pageerror", (e) => console.error("page " + n + ": error: " + e));
    await page.goto(c.url);
    return n;
  },
  eval: (_, c) => pages[c.page].evaluate(c.js),
  async look(_, c) {
    await pages[c.page].setViewportSize(size(c));
    await pages[c.page].emulateMedia({ colorScheme: c.dark ? "dark" : "light" });
  },
  press: (_, c) => pages[c.page].keyboard.press(c.key),
  async drag(_, { page, path: [[x, y], ...rest] }) {
    const mouse = pages[page].mouse;
    await mouse.move(x, y);
    await mouse.down();
    for (const [x, y] of rest) await mouse.move(x, y, { steps: 4 });
    await mouse.up();
  },
  shot: (_, c) => pages[c.page].screenshot({ path: c.file, fullPage: !!c.whole }),
  close: (_, c) => pages[c.page].context().close(),
};

(async () => {
  const browser = await chromium.launch({ executablePath: process.argv[2], args: flags });
  for await (const line of createInterface({ input: process.stdin })) {
    const c = JSON.parse(line);
    let answer;
    try {
      answer = { value: (await commands[c.do](browser, c)) ?? null };
    } catch (e) {
      answer = { error: String(e) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await browser.close();
})().catch((e) => { console.error(e); process.exit(1); });
