package webhook

import (
	"encoding/json"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// amsAction returns Ant Media Server's name of an event, or "" if it has none.
func amsAction(typ string) string {
	switch typ {
	case StreamStarted:
		return "liveStreamStarted"
	case StreamEnded:
		return "liveStreamEnded"
	case RecordingCompleted:
		return "vodReady"
	}
	return ""
}

// amsField is one variable of an Ant Media Server hook.
type amsField struct{ name, value string }

// amsFields returns the variables of its hooks as documented ("Using webhooks"): id is the stream's name, vodName the file of the
// recording, vodId its id, timestamp milliseconds since 1970. Its apps have a hook each; here one target may serve several apps, so app is
// added.
func amsFields(e *Event) []amsField {
	var b struct {
		Data struct {
			Of
			Archive string `json:"archive"`
		} `json:"data"`
	}
	_ = json.Unmarshal(e.Body, &b) // we made it ourselves
	action := amsAction(e.Type)
	if action == "" {
		action = e.Type
	}
	fields := []amsField{{"id", b.Data.Stream}, {"action", action}, {"streamName", b.Data.Stream}, {"app", b.Data.App}}
	if e.Type == RecordingCompleted {
		fields = append(fields, amsField{"vodName", strings.TrimSuffix(path.Base(b.Data.Archive), ".m3u8")}, amsField{"vodId", b.Data.Recording})
	}
	return append(fields, amsField{"timestamp", strconv.FormatInt(e.Time.UnixMilli(), 10)})
}

func amsJSON(e *Event) []byte {
	m := map[string]string{}
	for _, f := range amsFields(e) {
		m[f.name] = f.value
	}
	b, _ := json.Marshal(m) // plain text: it cannot fail
	return b
}

func amsForm(e *Event) []byte {
	v := url.Values{}
	for _, f := range amsFields(e) {
		v.Set(f.name, f.value)
	}
	return []byte(v.Encode())
}
