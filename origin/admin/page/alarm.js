// One line that says whether all is well, and below it, when asked, everything that is not, with what to do.
import { $, el, keyed, put, set } from "./dom.js";
import { several } from "./text.js";

// key tells warnings apart, whatever figures are in them.
const key = (w) => w.subject + " " + w.kind;

export class Alarm {
  #lost = "";      // why nothing is known of the server
  #warnings = [];
  #listed = []; // as they are listed: while somebody reads them, none moves or goes

  constructor() {
    $("alarm-toggle").addEventListener("click", () => this.#open($("alarm-list").hidden));
    $("alarm-list").addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      this.#open(false);
      $("alarm-toggle").focus();
    });
  }

  draw(overview) {
    this.#warnings = overview.warnings;
    const problems = overview.warnings.filter((w) => w.grave).length;
    this.#health(!overview.ready ? "not ready" : problems ? "degraded" : "ready", overview.ready && !problems);
    this.#show();
  }

  // lost says why nothing is known of the server; "": it is known again.
  lost(why, declined) {
    this.#lost = why;
    $("sign-in").hidden = !declined;
    if (why) this.#health(declined ? "locked" : "unreachable", false);
    this.#show();
  }

  #health(text, good) {
    put($("health"), text);
    $("health").className = "pill " + (good ? "good" : "bad");
  }

  #open(open) {
    $("alarm-list").hidden = !open;
    set($("alarm-toggle"), "aria-expanded", open ? "true" : "false");
  }

  #show() {
    const all = this.#warnings, first = all[0];
    const grave = this.#lost || first?.grave;
    set($("alarm"), "class", grave ? "bad" : first ? "notice" : "good");
    put($("alarm-text"), this.#lost || (first ? first.subject + ": " + first.text : "All is well."));
    const more = !this.#lost && all.length > 0;
    $("alarm-toggle").hidden = !more;
    put($("alarm-toggle"), several(all.length, "warning"));
    set($("alarm-toggle"), "aria-label", several(all.length, "warning") + " with what to do");
    if (!more) this.#open(false);
    const now = new Map(all.map((w) => [key(w), w]));
    const known = $("alarm-list").hidden ? [] : this.#listed.map((w) => now.get(key(w)) ?? { ...w, over: true });
    const before = new Set(known.map(key));
    this.#listed = [...known, ...all.filter((w) => !before.has(key(w)))];
    keyed($("alarm-list"), this.#listed, key, () => el("li", null, el("b"), " ", el("span"), el("p", { class: "do" })), (li, w) => {
      const [subject, text, act] = li.children;
      set(li, "class", w.over ? "over" : w.grave ? "bad" : "notice");
      put(subject, w.subject);
      put(text, w.text);
      put(act, w.over ? "It is over." : w.do);
    });
  }
}
