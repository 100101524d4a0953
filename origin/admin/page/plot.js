// A small live plot of one figure over the last two minutes.
import { el, put, set } from "./dom.js";

const seconds = 120;
const width = 240, height = 44; // of the drawing; CSS says how large it is shown
const hole = 2.5;               // seconds without a value that break the line

const svg = (tag, attributes) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
};

export class Plot {
  #value = el("b");
  #range = el("span", { class: "range" });
  #area = svg("path", { class: "area" });
  #line = svg("path", { class: "line" });
  #zero = svg("path", { class: "zero" });
  #drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
  #title;
  #format;
  #least;
  #signed;

  // format makes text of a figure. The scale reaches at least to least; signed figures have nought in the middle.
  constructor(parent, { title, hint, format, least, signed }) {
    this.#title = title;
    this.#format = format;
    this.#least = least;
    this.#signed = signed;
    this.#drawing.append(this.#area, this.#zero, this.#line);
    parent.append(el("figure", { class: "plot", title: hint }, el("figcaption", null, el("span", null, title), this.#value), this.#drawing, this.#range));
    this.draw([], 0);
  }

  // draw shows points [second, figure], in order; now is the second at the right edge.
  draw(points, now) {
    const shown = points.filter(([t]) => t > now - seconds && t <= now);
    const figures = shown.map(([, v]) => v);
    const least = Math.min(...figures), most = Math.max(...figures);
    const top = nice(Math.max(this.#least, usual(figures.map(Math.abs)))); // what comes after a stall in one burst leaves the picture
    const x = (t) => (width * (t - now + seconds) / seconds).toFixed(1);
    const within = (v) => Math.max(-top, Math.min(v, top));
    const y = (v) => (this.#signed ? height / 2 - within(v) / top * (height / 2 - 2) : height - 1 - within(v) / top * (height - 4)).toFixed(1);
    const base = y(0);
    let line = "", area = "", before = -Infinity;
    shown.forEach(([t, v], i) => {
      const starts = t - before > hole;
      line += (starts ? "M" : "L") + x(t) + " " + y(v);
      area += (starts ? "M" + x(t) + " " + base + "L" : "L") + x(t) + " " + y(v);
      before = t;
      if (i + 1 === shown.length || shown[i + 1][0] - t > hole) area += "L" + x(t) + " " + base + "Z";
    });
    set(this.#line, "d", line);
    set(this.#area, "d", area);
    set(this.#zero, "d", "M0 " + base + "L" + width + " " + base);
    const newest = shown.at(-1);
    const value = newest && now - newest[0] < 5 ? this.#format(newest[1]) : "–";
    const range = shown.length ? this.#format(least) + " to " + this.#format(most) : "no figures yet";
    put(this.#value, value);
    put(this.#range, range);
    set(this.#drawing, "aria-label", this.#title + ": " + value + "; in two minutes " + range);
  }
}

// usual is a figure that few of them are above.
function usual(figures) {
  const sorted = figures.sort((a, b) => a - b);
  return 1.2 * (sorted[Math.floor(0.95 * (sorted.length - 1))] ?? 0);
}

// nice is a round figure not below v.
function nice(v) {
  const step = 10 ** Math.floor(Math.log10(v));
  return step * [1, 2, 5, 10].find((n) => n * step >= v * 0.999);
}
