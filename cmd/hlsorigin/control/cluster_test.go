package control

import (
	"context"
	"errors"
	"testing"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/cluster"
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/origin/remote"
)

// whose is what the bucket says of a stream.
type whose struct {
	owner remote.Owner
	err   error
}

func (w whose) Owner(context.Context, string, string) (remote.Owner, error) { return w.owner, w.err }

func TestElsewhere(t *testing.T) {
	known := func() []cluster.Node { return []cluster.Node{{Node: peer.Node{Node: "b", Address: "http://b:5083"}}} }
	for want, w := range map[string]whose{
		"the server b (http://b:5083)":   {owner: remote.Owner{Address: "http://b:5083"}},
		"another server (http://c:5083)": {owner: remote.Owner{Address: "http://c:5083"}},
	} {
		if got := Elsewhere(w, known)(t.Context(), "live", "cam"); got != want {
			t.Errorf("%+v: %q", w, got)
		}
	}
	for _, w := range []whose{{}, {owner: remote.Owner{Address: "http://b:5083", Ended: true}}, {err: errors.New("away")}} {
		if got := Elsewhere(w, known)(t.Context(), "live", "cam"); got != "" {
			t.Errorf("%+v: %q", w, got)
		}
	}
}
