package configs

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentationNamesEveryKey reads the table of docs/configuration.md: each key stands there in full, or shortened to
// its last part after another one of its section.
func TestDocumentationNamesEveryKey(t *testing.T) {
	doc, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for row := range strings.Lines(string(doc)) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 {
			continue
		}
		section := ""
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			key := m[1]
			if strings.HasPrefix(key, ".") {
				key = section + key
			}
			named[key] = true
			section = key[:max(0, strings.LastIndex(key, "."))] // of a key at the top there is none
		}
	}
	for _, s := range []string{"listen", "cert", "key"} {
		named["rtsp.tls."+s] = named["rtsp.tls.…"]
	}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, key string) {
		for _, f := range fields(typ) {
			k, ft := join(key, f.name), typ.FieldByIndex(f.index).Type
			switch {
			case k == "apps":
				walk(reflect.TypeFor[App](), "apps.NAME")
			case ft.Kind() == reflect.Struct && ft != reflect.TypeFor[AppHLS]():
				walk(ft, k)
			case !named[k]:
				t.Errorf("docs/configuration.md does not name %s", k)
			}
			delete(named, k)
		}
	}
	walk(reflect.TypeFor[Config](), "")
	for k := range named {
		if !strings.Contains(k, "…") {
			t.Errorf("docs/configuration.md names %s, which does not exist", k)
		}
	}
}
