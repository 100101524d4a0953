// Drives one headless Chromium for the tests: a line of JSON in is a command, a line of JSON out its answer, in order.
//
//   node -e "$(cat drive.cjs)" NODE_MODULES CHROMIUM
//   {"do": "open", "url": …, "dark": bool}    a new page; its console and its errors go to stderr
//   {"do": "eval", "page": n, "js": …}        an expression, awaited; {"value": …}
//   {"do": "shot", "page": n, "file": …}      a picture of what is seen
//   {"do": "close", "page": n}
//
// The browser ends with the input.
"use strict";
const { createInterface } = require("node:readline");
const { chromium } = require(process.argv[1] + "/playwright-core");

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"];

const pages = [];
const commands = {
  async open(browser, c) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: c.dark ? "dark" : "light" });
    const page = await context.newPage();
    const n = pages.push(page) - 1;
    page.on("console", (m) => console.error("page " + n + ": " + m.text()));
    page.on("pageerror", (e) => console.error("page " + n + ": " + e));
    await page.goto(c.url);
    return n;
  },
  eval: (_, c) => pages[c.page].evaluate(c.js),
  shot: (_, c) => pages[c.page].screenshot({ path: c.file }),
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
