package configs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultFileEqualsDefaultsInCode(t *testing.T) {
	got, err := Parse([]byte(DefaultYAML()), "default.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), got); d != "" && !equal(Default(), got) {
		t.Errorf("default.yaml differs from Default (-code +file):\n%s", d)
	}
}

// equal takes an empty list or map for the same as none.
func equal(a, b Config) bool { return a.String() == b.String() }

func TestDefaultFileNamesEveryKey(t *testing.T) {
	d := &decoder{file: "default.yaml", where: map[string]Error{}, lookup: environment{}.lookup}
	c := Config{Storage: Storage{}}
	d.value(d.parse(DefaultYAML()), reflect.ValueOf(&c).Elem(), "")
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, key string) {
		for _, f := range fields(typ) {
			k, ft := join(key, f.name), typ.FieldByIndex(f.index).Type
			if _, ok := d.where[k]; !ok && ft.Kind() != reflect.Pointer {
				t.Errorf("default.yaml does not show %s", k)
			}
			if ft.Kind() == reflect.Struct {
				walk(ft, k)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

func TestAppCanOverrideEveryHLSKeyOfItsOwn(t *testing.T) {
	own := names(fields(reflect.TypeFor[AppHLS]()))
	for _, f := range fields(reflect.TypeFor[HLS]()) {
		if has := strings.Contains(" "+strings.Join(own, " ")+" ", " "+f.name+" "); has == (f.name == "memory" || f.name == "archive_split") {
			t.Errorf("AppHLS and hls.%s: in AppHLS is %v", f.name, has)
		}
	}
	c, err := Parse([]byte("hls: {window: 90s}\napps: {live: {hls: {segment_duration: 2s, end_grace: 0s}}}"), "f", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Apps["live"].HLS.Over(c.HLS)
	want := Default().HLS
	want.SegmentDuration, want.Window, want.EndGrace = seconds(2), seconds(90), 0
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
