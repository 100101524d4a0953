package roster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func put(t *testing.T, m *storetest.Memory, key, body string) {
	t.Helper()
	if _, err := m.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
}

func TestEntries(t *testing.T) {
	m := &storetest.Memory{}
	a := Entry{Node: "a", Address: "http://a:5083", Version: "v1", Instance: "one"}
	if e, etag, err := Read(t.Context(), m, "a"); e != (Entry{}) || etag != "" || err != nil {
		t.Errorf("before: %+v, %q, %v", e, etag, err)
	}
	if err := Write(t.Context(), m, a, ""); err != nil {
		t.Fatal(err)
	}
	e, etag, err := Read(t.Context(), m, "a")
	if e != a || etag == "" || err != nil {
		t.Errorf("%+v, %q, %v", e, etag, err)
	}
	second := a
	second.Instance = "two"
	if err := Write(t.Context(), m, second, ""); !errors.Is(err, storage.ErrExists) {
		t.Errorf("over one that is there: %v", err)
	}
	if err := Write(t.Context(), m, second, etag); err != nil {
		t.Error(err)
	}
	third := a
	third.Instance = "three"
	if err := Write(t.Context(), m, third, etag); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("over one that was written since: %v", err)
	}
	if e, _, err := Read(t.Context(), m, "a"); e != second || err != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// What is no entry is never taken for one, and hides no other.
func TestStrangeEntries(t *testing.T) {
	m := &storetest.Memory{}
	for i, body := range []string{
		"", "[]", "{}", `{"node":"a"}`, `{"node":"a","instance":"x\n"}`, `{"node":"a","instance":"` + strings.Repeat("x", maxText+1) + `"}`,
		`{"node":"a","instance":"x","pad":"` + strings.Repeat("x", maxEntry) + `"}`, `{"node":"a","instance":"x"`,
	} {
		put(t, m, Key("a"), body)
		if e, etag, err := Read(t.Context(), m, "a"); !errors.Is(err, ErrDamaged) || etag == "" {
			t.Errorf("%d: %+v, %q, %v", i, e, etag, err)
		}
	}
	put(t, m, Key("b"), `{"node":"other","instance":"x"}`)
	put(t, m, Scratch("c", "x"), `{"node":"c","instance":"x"}`)
	put(t, m, Key("d"), `{"node":"d","instance":"x","later":1}`)
	put(t, m, storage.Shared+"live/cam.json", `{"node":"e","instance":"x"}`)
	all, err := List(t.Context(), m)
	if err != nil || len(all) != 1 || all[0].Node != "d" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestList(t *testing.T) {
	m := &storetest.Memory{}
	for i := range maxEntries + 5 {
		if err := Write(t.Context(), m, Entry{Node: fmt.Sprintf("n%04d", i), Instance: "x"}, ""); err != nil {
			t.Fatal(err)
		}
	}
	all, err := List(t.Context(), m)
	if err != nil || len(all) != maxEntries || !slices.IsSortedFunc(all, func(a, b Entry) int { return strings.Compare(a.Node, b.Node) }) {
		t.Errorf("%d, %v", len(all), err)
	}
	f := storetest.NewFaulty(m)
	f.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, Err: errors.New("away")})
	if all, err := List(t.Context(), f); err == nil || all != nil {
		t.Errorf("%d, %v", len(all), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"node":"a","address":"http://a","instance":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := parse(data); err != nil && e != (Entry{}) || err == nil && (e.Node == "" || e.Instance == "") {
			t.Errorf("%+v, %v", e, err)
		}
	})
}
