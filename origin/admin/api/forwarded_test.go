package api

import (
	"net/http"
	"testing"
)

func TestForwarded(t *testing.T) {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"} {
		h := http.Header{}
		h.Set(name, "") // an empty one tells as much
		if got := forwarded(h); http.CanonicalHeaderKey(name) != got {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := forwarded(http.Header{"User-Agent": {"x"}, "Host": {"y"}}); got != "" {
		t.Errorf("a request without: %q", got)
	}
}
