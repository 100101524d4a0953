// Files that become packages: what waits, how far each is, what came of it; and an order for another.
import { at, call } from "./api.js";
import { sure } from "./confirm.js";
import { copy } from "./copy.js";
import { $, el, keyed, put, set } from "./dom.js";
import { bytes, clock, date, several, span } from "./text.js";

const every = 2000; // ms, between two looks while somebody looks at it
const limit = 100;

export class Jobs {
  #shown = false;
  #timer = 0;
  #jobs = [];

  constructor() {
    $("job-form").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#order();
    });
  }

  // draw begins to look; leave ends it.
  draw() {
    if (this.#shown) return;
    this.#shown = true;
    this.#look();
  }

  leave() {
    this.#shown = false;
    clearTimeout(this.#timer);
  }

  async #look() {
    clearTimeout(this.#timer);
    try {
      const list = await call("GET", "/v1/jobs?limit=" + limit);
      this.#jobs = list.jobs;
      put($("jobs-says"), (list.jobs.length ? several(list.jobs.length, "job") : "There are no jobs.") + (list.more ? ", and more: hlsorigin job ls -limit N shows them" : ""));
    } catch (e) {
      put($("jobs-says"), e.message);
      if (e.status === 501) $("job-form").hidden = true; // there is no bucket
    }
    keyed($("jobs-list"), this.#jobs, (j) => j.id, (j) => this.#make(j), update);
    if (this.#shown) this.#timer = setTimeout(() => this.#look(), every);
  }

  async #order() {
    $("job-go").disabled = true;
    try {
      const j = await call("POST", "/v1/jobs", { input: $("job-input").value.trim(), kind: $("job-kind").value, output: $("job-output").value.trim() || undefined });
      put($("job-said"), "Ordered: " + j.output);
      $("job-input").value = "";
      this.#look();
    } catch (e) {
      put($("job-said"), e.message);
    }
    $("job-go").disabled = false;
  }

  #make({ id }) {
    const now = () => this.#jobs.find((j) => j.id === id);
    return el("li", null,
      el("h3"), el("p", { class: "when" }), el("progress", { max: "100" }), el("p", { class: "what" }), el("p", { class: "says", "aria-live": "polite" }),
      el("div", { class: "acts" },
        el("button", { type: "button", onclick: (e) => copy(e.target, now().playlist) }, "Copy the playlist’s place"),
        el("button", { type: "button", class: "danger", onclick: () => this.#cancel(now()) }, "Cancel …")));
  }

  async #cancel(j) {
    if (!await sure("Cancel this job?", "What it has made of " + j.input + " is removed.", "Cancel the job")) return;
    try {
      await call("DELETE", "/v1/jobs/" + at(j.id));
    } catch (e) {
      put($("job-said"), e.message);
    }
    this.#look();
  }
}

const over = (j) => ["succeeded", "failed", "canceled"].includes(j.state);

function update(li, j) {
  const [title, when, bar, what, says, acts] = li.children;
  put(title, j.input);
  put(when, date(j.created) + ", " + clock(j.created) + " · " + (j.canceling ? "canceling" : j.state) + (j.stage && !over(j) ? ", " + j.stage : "") + (j.node && !over(j) ? " on " + j.node : ""));
  set(li, "class", j.state);
  bar.hidden = over(j);
  set(bar, "value", j.state === "queued" ? "0" : String(j.progress));
  set(bar, "aria-label", "Progress of " + j.input);
  put(what, [j.kind, !over(j) && j.state === "running" ? j.progress.toFixed(0) + " %" : "", "to " + j.output, j.duration_seconds ? span(j.duration_seconds) : "", j.rungs.map((r) => r.name).join(", "), j.bytes ? bytes(j.bytes) : ""].filter(Boolean).join(" · "));
  set(says, "class", "says" + (j.state === "failed" ? " bad" : j.state === "succeeded" ? " good" : ""));
  put(says, j.state === "succeeded" ? j.notes.join("; ") : j.reason);
  acts.children[0].hidden = j.state !== "succeeded";
  acts.children[1].hidden = over(j) || j.canceling;
  acts.hidden = [...acts.children].every((b) => b.hidden);
}
