// What the page asks of the server. An answer that is no success is a Problem, in the server's words.
import { askToken, token } from "./token.js";

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// open sends a request. Where the server wants a token, the person is asked for one, and it is sent again.
export async function open(method, path, { body, signal, headers } = {}) {
  for (;;) {
    const sent = token();
    const h = { ...headers };
    if (sent) h.Authorization = "Bearer " + sent;
    if (method !== "GET") h["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers: h, body: body && JSON.stringify(body), signal, cache: "no-store" });
    } catch (e) {
      if (signal?.aborted) throw e;
      throw new Problem(0, "The server cannot be reached.");
    }
    if (response.ok) return response;
    let said = "";
    try {
      said = (await response.json()).detail ?? "";
    } catch { /* it is no problem of ours: its status says enough */ }
    if (response.status !== 401) throw new Problem(response.status, said || "The server answers " + response.status + ".");
    if (sent === token()) await askToken(sent ? said : "The server lets nobody watch or operate without a token."); // another may have asked meanwhile
  }
}

// call sends a request and reads the JSON of its answer.
export async function call(method, path, body) {
  return (await open(method, path, { body })).json();
}

// at is names as parts of a path.
export const at = (...names) => names.map(encodeURIComponent).join("/");

// query is ?name=value of those that have one.
export function query(values) {
  const q = new URLSearchParams(Object.entries(values).filter(([, v]) => v));
  return q.size ? "?" + q : "";
}
