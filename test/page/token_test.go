package page

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// A server with tokens shows nothing without one. The token is kept for the tab, and goes when it is told to.
func TestToken(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	address := h.serve(t, token("reader", "read-only-secret", false), token("boss", "may-do-all-secret", true))
	page := open(t, b, address, "", desktop)
	page.until("it asks for a token", `document.getElementById("token").open && document.activeElement.id === "token-field"`)
	if is[int](page, `document.querySelectorAll("#streams button").length`) != 0 {
		t.Error("streams are shown without a token")
	}
	page.shot("token", desktop, dark(phone))
	enter := func(secret string) {
		t.Helper()
		page.must(page.page.Eval(`document.getElementById("token-field").value = `+quoted(secret), nil))
		page.press("Enter")
	}
	page.press("Escape")
	page.until("it says what is missing", `!document.getElementById("sign-in").hidden && document.getElementById("alarm-text").textContent.includes("token")`)
	page.click("#sign-in")
	page.until("it asks again", `document.getElementById("token").open`)
	enter("wrong")
	page.until("it says that the token is not known", `document.getElementById("token").open && document.getElementById("token-why").textContent.includes("not known")`)
	enter("read-only-secret")
	page.until("the streams are listed", `document.querySelectorAll("#streams button").length === 5`)
	page.click("#disconnect")
	page.click("#confirm-yes")
	page.until("it is refused in words", `document.getElementById("said").textContent.includes("may only read")`)
	if is[string](page, `sessionStorage.getItem("hlsorigin.token") + Object.keys(localStorage).length + document.cookie`) != "read-only-secret0" {
		t.Error("the token is kept elsewhere")
	}
	page.must(page.page.Eval("location.reload()", nil))
	page.until("it is still known after a reload", `document.readyState === "complete" && document.querySelectorAll("#streams button").length === 5`)
	page.click("#sign-out")
	page.until("it is forgotten", `document.readyState === "complete" && document.getElementById("token").open && !sessionStorage.length`)
}
