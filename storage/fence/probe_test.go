package fence

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// odd is a store that does not keep to conditions in one way or another.
type odd struct {
	storage.Store
	change func(a *storage.Attributes) error
	silent bool // it states no ETag
}

func (o *odd) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if o.change != nil {
		if err := o.change(&a); err != nil {
			return "", err
		}
	}
	etag, err := o.Store.Put(ctx, key, body, a)
	if o.silent {
		etag = ""
	}
	return etag, err
}

func TestProbe(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		odd  odd
		want Fitness
		err  error
		says string
	}{
		"fit":                   {want: Fit},
		"ignores If-None-Match": {odd: odd{change: func(a *storage.Attributes) error { a.IfAbsent = false; return nil }}, want: Unfit, says: "If-None-Match: *"},
		"ignores If-Match":      {odd: odd{change: func(a *storage.Attributes) error { a.IfMatch = ""; return nil }}, want: Unfit, says: "If-Match with another ETag"},
		"refuses every If-Match": {odd: odd{change: func(a *storage.Attributes) error {
			if a.IfMatch != "" {
				return storage.ErrChanged
			}
			return nil
		}}, want: Unfit, says: "replaces nothing"},
		"knows no conditions": {odd: odd{change: func(a *storage.Attributes) error {
			if a.IfMatch != "" {
				return errors.ErrUnsupported
			}
			return nil
		}}, want: Unfit, says: "unsupported"},
		"refuses conditions to these credentials": {odd: odd{change: func(a *storage.Attributes) error {
			if a.IfMatch != "" {
				return storage.ErrPermanent
			}
			return nil
		}}, want: Unfit, says: "permanent"},
		"states no ETag": {odd: odd{silent: true}, want: Unfit, says: "no ETag"},
		"is away":        {odd: odd{change: func(*storage.Attributes) error { return away }}, err: away, want: Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			memory := &storetest.Memory{}
			c.odd.Store = memory
			f, said := newFence(&c.odd)
			for range 2 {
				if err := f.Probe(t.Context(), storage.Shared+"a.probe"); !errors.Is(err, c.err) {
					t.Errorf("%v, want %v", err, c.err)
				}
			}
			if got := f.Fitness(); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if left := storetest.Keys(t, memory, ""); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			lines := strings.Count(said.String(), "\n")
			if c.says == "" && lines > 0 || c.says != "" && (lines != 1 || !strings.Contains(said.String(), c.says)) {
				t.Errorf("said: %s", said)
			}
			// Playlists are written there, whatever it is.
			if c.err == nil {
				for _, body := range []string{"1", "2"} {
					if err := f.Put(t.Context(), key, []byte(body), storage.Attributes{}, new(counting).mine); err != nil {
						t.Error(err)
					}
					if got := string(storetest.Read(t, memory, key, 0, -1)); got != body {
						t.Errorf("%q is there, want %q", got, body)
					}
				}
			}
		})
	}
}
