// A question before something that cannot be taken back.
import { $, put } from "./dom.js";

// sure asks, and resolves to whether the answer was yes.
export function sure(question, what, yes) {
  const dialog = $("confirm");
  put($("confirm-question"), question);
  put($("confirm-what"), what);
  put($("confirm-yes"), yes);
  return new Promise((resolve) => {
    const done = new AbortController();
    const { signal } = done;
    // Not at the dialog's "close", which comes later: it may be open again by then, with another question.
    const answer = (is) => {
      done.abort();
      dialog.close();
      resolve(is);
    };
    $("confirm-yes").addEventListener("click", () => answer(true), { signal });
    $("confirm-no").addEventListener("click", () => answer(false), { signal });
    dialog.addEventListener("cancel", () => answer(false), { signal });
    dialog.showModal();
    $("confirm-no").focus();
  });
}
