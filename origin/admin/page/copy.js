// Copies what a button stands for.
import { put } from "./dom.js";

// copy puts text on the clipboard. Where the browser does not let it, as over plain http, the text is selected in a field instead.
export async function copy(button, text, field) {
  const label = button.dataset.label ??= button.textContent; // it may say still that it was done
  try {
    await navigator.clipboard.writeText(text);
    put(button, "Copied");
  } catch {
    field?.focus();
    field?.select();
    put(button, field ? "Selected" : "Not allowed");
  }
  setTimeout(() => put(button, label), 1200);
}
