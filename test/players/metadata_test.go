package players

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// sendMetadata sends the first timed metadata of the show: from then on its program has one stream more.
func sendMetadata(t *testing.T, s *server) {
	res, err := http.Post(s.admin+"/streams/live/show/metadata", "application/json", strings.NewReader(`{"text":[{"description":"song","value":"Aria"}]}`))
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"deferred":true`) {
		t.Errorf("metadata: %s %s", res.Status, body)
	}
}
