// A question before something that cannot be taken back.
import { $, put } from "./dom.js";

// sure asks, and resolves to whether the answer was yes.
export function sure(question, what, yes) {
  const dialog = $("confirm");
  put($("confirm-question"), question);
  put($("confirm-what"), what);
  put($("confirm-yes"), yes);
  return new Promise((resolve) => {
    let answer = false;
    const done = new AbortController();
    const { signal } = done;
    $("confirm-yes").addEventListener("click", () => {
      answer = true;
      dialog.close();
    }, { signal });
    $("confirm-no").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      done.abort();
      resolve(answer);
    }, { signal });
    dialog.showModal();
    $("confirm-no").focus();
  });
}
