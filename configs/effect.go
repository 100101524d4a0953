package configs

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Effect is when a setting counts that was changed while the server runs.
type Effect uint8

// The effects.
const (
	AtOnce      Effect = iota + 1 // for all, those that are connected already among them
	NextPublish                   // for publishers that connect from then on; a show keeps what it began with
	NextStart                     // of the server
)

// String is the effect in words.
func (e Effect) String() string {
	return [...]string{"", "at once", "at the next publish", "at the next start"}[e]
}

// effects are the effects of all settings. A name that is followed by others stands for all of them, but those that are named
// themselves.
var effects = map[string]Effect{
	"http":                             NextStart,
	"http.tls.cert":                    AtOnce,
	"http.tls.key":                     AtOnce,
	"http.cors_origins":                AtOnce,
	"http.cdn_secret.header":           NextStart,
	"http.cdn_secret.values":           AtOnce,
	"http.max_connections":             AtOnce,
	"http.fail_on_stale":               AtOnce,
	"admin":                            NextStart,
	"admin.tokens":                     AtOnce,
	"rtmp":                             NextStart,
	"rtmp.tls.cert":                    AtOnce,
	"rtmp.tls.key":                     AtOnce,
	"rtmp.max_connections":             AtOnce,
	"rtmp.max_connections_per_address": AtOnce,
	"rtsp":                             NextStart,
	"rtsp.tls.cert":                    AtOnce,
	"rtsp.tls.key":                     AtOnce,
	"rtsp.max_connections":             AtOnce,
	"rtsp.max_connections_per_address": AtOnce,
	"ingest_http":                      NextStart,
	"ingest_http.tls.cert":             AtOnce,
	"ingest_http.tls.key":              AtOnce,
	"ingest_http.max_connections":      AtOnce,
	"ingest_http.max_connections_per_address": AtOnce,
	"hls":                    NextPublish,
	"hls.cmaf":               AtOnce,
	"hls.archive_split":      NextStart,
	"hls.memory":             NextStart,
	"apps.NAME.keys":         AtOnce,
	"apps.NAME.publish":      AtOnce,
	"apps.NAME.auth":         AtOnce,
	"apps.NAME.hls":          NextPublish,
	"apps.NAME.hls.cmaf":     AtOnce,
	"apps.NAME.groups":       NextPublish,
	"apps.NAME.audio":        NextPublish,
	"apps.NAME.ladder":       NextPublish,
	"apps.NAME.session_data": NextPublish,
	"apps.NAME.keep":         AtOnce,
	"trusted_proxies":        NextStart,
	"storage":                NextStart,
	"memory":                 NextStart,
	"spool":                  NextStart,
	"cluster":                NextStart,
	"cluster.secret":         AtOnce,
	"cluster.live_first":     AtOnce,
	"jobs":                   AtOnce,
	"cluster.drain":          AtOnce,
	"webhooks":               AtOnce,
	"metrics":                AtOnce,
	"shutdown":               AtOnce,
	"log":                    AtOnce,
}

// EffectOf is when a setting counts, by its name: "hls.window", "apps.NAME.keys". It is 0 where there is no such setting.
func EffectOf(name string) Effect {
	for {
		if e := effects[name]; e != 0 {
			return e
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return 0
		}
		name = name[:i]
	}
}

// Setting is one setting and when a change of it counts.
type Setting struct {
	Name   string // "hls.window"; of an app's, "apps.NAME.keys"
	Effect Effect
}

// Settings are all settings there are, in the order of the file.
func Settings() []Setting {
	var all []Setting
	settings(reflect.TypeFor[Config](), nil, func(name string, _ []int) { all = append(all, Setting{name, EffectOf(name)}) }, "")
	for _, f := range fields(reflect.TypeFor[App]()) {
		name := "apps.NAME." + f.name
		settings(reflect.TypeFor[App]().FieldByIndex(f.index).Type, nil, func(name string, _ []int) { all = append(all, Setting{name, EffectOf(name)}) }, name)
	}
	return all
}

// settings visits every setting of a struct with the way to its field, but those of apps.
func settings(t reflect.Type, index []int, visit func(name string, index []int), name string) {
	switch {
	case name == "apps":
	case t.Kind() == reflect.Struct:
		for _, f := range fields(t) {
			settings(t.FieldByIndex(f.index).Type, append(slices.Clone(index), f.index...), visit, join(name, f.name))
		}
	default:
		visit(name, index)
	}
}

// Change is a setting that is not what it was.
type Change struct {
	Name   string // "hls.window", "apps.live.keys"; of an app that came or went, "apps.live"
	Effect Effect
}

// Update is what becomes of a running configuration when another one is to be in force.
type Update struct {
	// Config is the one to put in force: that which is wanted, but for the settings that count at the next start, which are
	// as they were.
	Config  Config
	Wanted  Config
	Changes []Change // by name
}

// Waiting are the names of the changed settings that count at the next start.
func (u *Update) Waiting() (names []string) {
	for _, c := range u.Changes {
		if c.Effect == NextStart {
			names = append(names, c.Name)
		}
	}
	return names
}

// UpdateTo compares a running configuration with the one that is wanted.
func (c Config) UpdateTo(wanted Config) Update {
	u := Update{Config: wanted, Wanted: wanted}
	old, next := reflect.ValueOf(c), reflect.ValueOf(&u.Config).Elem()
	settings(old.Type(), nil, func(name string, index []int) {
		was, is := old.FieldByIndex(index), next.FieldByIndex(index)
		if sameValue(was, is) {
			return
		}
		e := EffectOf(name)
		if name == "cluster.secret" && c.Cluster.On() != wanted.Cluster.On() {
			e = NextStart // it becomes one of a cluster, or leaves it
		}
		u.Changes = append(u.Changes, Change{name, e})
		if e == NextStart {
			is.Set(was)
		}
	}, "")
	names := maps.Clone(c.Apps)
	if names == nil {
		names = map[string]App{}
	}
	maps.Copy(names, wanted.Apps)
	for name := range names {
		was, ok := c.Apps[name]
		is, still := wanted.Apps[name]
		if !ok || !still {
			u.Changes = append(u.Changes, Change{"apps." + name, AtOnce})
			continue
		}
		a, b := reflect.ValueOf(was), reflect.ValueOf(is)
		for _, f := range fields(a.Type()) {
			settings(a.FieldByIndex(f.index).Type(), f.index, func(key string, index []int) {
				if !sameValue(a.FieldByIndex(index), b.FieldByIndex(index)) {
					u.Changes = append(u.Changes, Change{"apps." + name + "." + key, EffectOf("apps.NAME." + key)})
				}
			}, f.name)
		}
	}
	slices.SortFunc(u.Changes, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	return u
}

// sameValue takes a list or a mapping without entries for one that is not there.
func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice, reflect.Map:
		if a.Len() == 0 && b.Len() == 0 {
			return true
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
