// One line that says whether all is well, and below it, when asked, everything that is not, with what to do.
import { $, el, keyed, put, set } from "./dom.js";
import { several } from "./text.js";

export class Alarm {
  #lost = "";      // why nothing is known of the server
  #warnings = [];

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
    keyed($("alarm-list"), all, (w) => w.subject + " " + w.kind + " " + (w.kind === "server" || w.kind === "rung" ? w.text : ""), () => el("li", null, el("b"), " ", el("span"), el("p", { class: "do" })), (li, w) => {
      const [subject, text, act] = li.children;
      set(li, "class", w.grave ? "bad" : "notice");
      put(subject, w.subject);
      put(text, w.text);
      put(act, w.do);
    });
  }
}
