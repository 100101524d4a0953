// The bearer token that the API asks for. It is kept for this tab alone, and goes to nobody but this server.
import { $, put } from "./dom.js";

const key = "hlsorigin.token";
// Declined says that the person gave no token.
export class Declined extends Error {}

let asking = null; // the promise of the token that is being asked for

export const token = () => sessionStorage.getItem(key) ?? "";

export const forgetToken = () => sessionStorage.removeItem(key);

// askToken asks the person, once for all who need it. It fails where the person declines.
export function askToken(why) {
  const dialog = $("token"), form = $("token-form"), field = $("token-field");
  put($("token-why"), why);
  return asking ??= new Promise((resolve, reject) => {
    const done = new AbortController();
    const { signal } = done;
    field.value = "";
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      if (!field.value.trim()) return;
      sessionStorage.setItem(key, field.value.trim());
      dialog.close();
    }, { signal });
    dialog.addEventListener("close", () => {
      done.abort();
      asking = null;
      const given = field.value.trim();
      field.value = "";
      if (given && given === token()) resolve();
      else reject(new Declined("The server wants a token before it shows or does this."));
    }, { signal });
    dialog.showModal();
    field.focus();
  });
}
