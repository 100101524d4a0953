package claim

import (
	"errors"
	"reflect"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

func TestClaimRoundTrip(t *testing.T) {
	c := Claim{Epoch: 7, Node: "origin1-x", Address: "http://10.0.0.1:5083", Recording: cam, State: Live}
	got, err := parse(c.append())
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestKey(t *testing.T) {
	if got, want := Key("live", "cam"), storage.Shared+"live/cam.json"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"epoch":7,"node":"a","recording":"b","state":"live"}`))
	f.Add([]byte(`{"epoch":7,"node":"a`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			if c != (Claim{}) || !errors.Is(err, errDamaged) {
				t.Errorf("%+v, %v", c, err)
			}
			return
		}
		if again, err := parse(c.append()); err != nil || again != c {
			t.Errorf("%+v, then %+v, %v", c, again, err)
		}
	})
}
