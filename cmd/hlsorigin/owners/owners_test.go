package owners

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const recording = "2024-05-01_10-00-00.000"

func TestOwner(t *testing.T) {
	store := &storetest.Memory{}
	take := func(node, address, stream string) *claim.Tenure {
		t.Helper()
		c := claim.New(store, claim.Server{Node: node, Address: address}, "live", stream, recording, slog.New(slog.DiscardHandler))
		if _, err := c.Take(t.Context(), true, false); err != nil {
			t.Fatal(err)
		}
		return c
	}
	take("a", "http://a:5083", "ours")
	take("b", "http://b:5083", "theirs")
	take("c", "", "alone")
	take("b", "http://b:5083", "ladder")
	if err := take("b", "http://b:5083", "over").Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), claim.Key("live", "damaged"), strings.NewReader("{"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	o := &Owners{Store: store, Address: "http://a:5083", Node: func() string { return "a" }, Ladder: func(app, stream string) (string, bool) {
		return "ladder", app == "live" && stream == "rung"
	}}
	theirs := remote.Owner{Address: "http://b:5083", Recording: recording}
	over := theirs
	over.Ended = true
	for stream, want := range map[string]remote.Owner{"ours": {Recording: recording}, "theirs": theirs, "over": over, "rung": theirs, "ladder": theirs} {
		if got, err := o.Owner(t.Context(), "live", stream); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", stream, got, err, want)
		}
	}
	for _, stream := range []string{"alone", "nobody", "damaged"} {
		if got, err := o.Owner(t.Context(), "live", stream); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v", stream, got, err)
		}
	}
}
