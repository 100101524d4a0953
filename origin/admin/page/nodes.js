// The servers of the cluster: who is there, what each has, and what is wrong. Without a cluster nothing is shown.
import { $, el, keyed, put, set } from "./dom.js";

const skew = 2; // seconds: clocks further apart are told of

export function showNodes(nodes) {
  $("nodes").hidden = !nodes?.length;
  keyed($("nodes-rows"), nodes ?? [], (n) => n.node, () => el("tr", null, el("th", { scope: "row" }), el("td"), el("td"), el("td")), (row, n) => {
    const [name, state, streams, version] = row.children;
    put(name, n.node + (n.self ? " (this one)" : ""));
    set(name, "title", n.address);
    set(row, "class", n.reachable && !n.draining ? "well" : "ill");
    put(state, !n.reachable ? "not reached" : n.draining ? "draining" : Math.abs(n.clock_ahead_seconds) > skew ? "clock " + (n.clock_ahead_seconds > 0 ? "+" : "") + n.clock_ahead_seconds.toFixed(1) + " s" : "up");
    set(state, "title", n.problem || null);
    put(streams, n.reachable ? n.streams + (n.standbys ? " + " + n.standbys + " standing by" + (n.standbys_silent ? ", " + n.standbys_silent + " of them silent" : "") : "") : "–");
    put(version, n.version);
  });
}
