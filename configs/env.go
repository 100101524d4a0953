package configs

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Prefix begins every environment variable that is a setting.
const Prefix = "HLSORIGIN_"

// FileVariable names the configuration file where the command line does not. It is no setting.
const FileVariable = Prefix + "CONFIG"

// TokenVariable holds the token by which the command line asks a running server. It is no setting.
const TokenVariable = Prefix + "TOKEN"

// testPrefix begins variables that are for tests and no settings.
const testPrefix = Prefix + "TEST_"

// injected is what Kubernetes puts into every container beside a service that is called hlsorigin or hlsorigin-something, as NAME=VALUE:
// the service's address, its ports and their names, and the same for each port as Docker's links once had it.
// HLSORIGIN_SERVICE_PORT_RTMP=1935, HLSORIGIN_PORT=tcp://10.0.0.1:5080, HLSORIGIN_PORT_5080_TCP_ADDR=10.0.0.1. The form of the value
// tells HLSORIGIN_HTTP_PORT=8080 apart, which somebody has guessed.
var injected = regexp.MustCompile(`(^|_)(SERVICE_HOST=[0-9a-fA-F.:]+|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+|PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*|` +
	`PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=[0-9]+|ADDR=[0-9a-fA-F.:]+))$`)

// environment is the process's variables, and of them those that may be settings in the order of their names.
type environment struct {
	all      map[string]string
	settings []string
}

func split(environ []string) environment {
	e := environment{all: make(map[string]string, len(environ))}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		e.all[name] = value
	}
	for name := range e.all {
		if strings.HasPrefix(name, Prefix) && name != FileVariable && name != TokenVariable && !strings.HasPrefix(name, testPrefix) {
			e.settings = append(e.settings, name)
		}
	}
	slices.Sort(e.settings)
	return e
}

func (e environment) lookup(name string) (string, bool) {
	v, ok := e.all[name]
	return v, ok
}

// environment lays the variables over the configuration. Those that are no setting change nothing: Unknown tells of them.
func (d *decoder) environment(c *Config, env environment) {
	defer func() { d.env = "" }()
	for _, name := range env.settings {
		d.env = name
		if path := strings.TrimPrefix(name, Prefix); path != "" {
			d.assign(reflect.ValueOf(c).Elem(), path, "", env.all[name])
		}
	}
}

// Unknown returns the variables that begin as settings do and are none, each with the nearest name, but for those that Kubernetes has put
// there. They are no mistake that keeps a server from its start: others than the operator may set variables. c is what was loaded with
// this environment.
func Unknown(c Config, environ []string) Errors {
	env := split(environ)
	d := &decoder{where: map[string]Error{}, lookup: env.lookup}
	var unknown Errors
	for _, name := range env.settings {
		path, value := strings.TrimPrefix(name, Prefix), env.all[name]
		d.errs = nil
		if d.assign(reflect.ValueOf(&c).Elem(), path, "", value) && path != "" && len(d.errs) == 0 || injected.MatchString(path+"="+value) {
			continue
		}
		known := variables(reflect.ValueOf(&c).Elem(), Prefix)
		unknown = append(unknown, &Error{Env: name, Text: "no setting has this name, so it changes nothing" + didYouMean(name, known)})
	}
	return unknown
}

// assign gives the value to the key that rest spells: "LISTEN", "LIVE_KEYS_CAM". False where there is none. Names of
// apps, keys, groups and tags that exist already are found however they are written; new ones are made in lower case.
func (d *decoder) assign(v reflect.Value, rest, key, value string) bool {
	if rest == "" {
		d.parsed(v, key, value)
		return true
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.assignField(v, rest, key, value)
	case reflect.Map:
		return d.assignEntry(v, rest, key, value)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if prepare(p.Elem()); !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		if !d.assign(p.Elem(), rest, key, value) {
			return false
		}
		v.Set(p)
		return true
	}
	return false
}

func (d *decoder) assignField(v reflect.Value, rest, key, value string) bool {
	for _, f := range fields(v.Type()) {
		tail, ok := cutName(rest, f.name)
		if ok && d.assign(v.FieldByIndex(f.index), tail, join(key, f.name), value) {
			return true
		}
	}
	return false
}

func (d *decoder) assignEntry(v reflect.Value, rest, key, value string) bool {
	known := v.MapKeys()
	slices.SortFunc(known, func(a, b reflect.Value) int { return len(b.String()) - len(a.String()) })
	try := func(name, tail string) bool {
		e := reflect.New(v.Type().Elem()).Elem()
		prepare(e)
		if old := v.MapIndex(reflect.ValueOf(name)); old.IsValid() {
			e.Set(old)
		}
		if !d.assign(e, tail, join(key, name), value) {
			return false
		}
		m := reflect.MakeMap(v.Type()) // never the one that is there: another Config may have it too
		for _, k := range known {
			m.SetMapIndex(k, v.MapIndex(k))
		}
		m.SetMapIndex(reflect.ValueOf(name), e)
		v.Set(m)
		return true
	}
	for _, k := range known {
		if tail, ok := cutName(rest, k.String()); ok && try(k.String(), tail) {
			return true
		}
	}
	lower := strings.ToLower(rest)
	if v.Type().Elem().Kind() != reflect.Struct {
		return try(lower, "")
	}
	for i := range rest {
		if rest[i] == '_' && i > 0 && try(lower[:i], rest[i+1:]) {
			return true
		}
	}
	// A whole app in one variable; anything but a mapping is more likely a misspelt key of an app.
	return strings.HasPrefix(value, "{") && try(lower, "")
}

// cutName takes a key's name from the front of a variable's rest.
func cutName(rest, name string) (tail string, ok bool) {
	tail, ok = strings.CutPrefix(rest, variable(name))
	if !ok || tail == "" {
		return "", ok
	}
	return strings.CutPrefix(tail, "_")
}

// variable spells a key as environment variables do.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// parsed gives a variable's text to a value. A list of words may be written with commas; other lists and mappings are
// YAML, as in the file.
func (d *decoder) parsed(v reflect.Value, key, value string) {
	switch v.Kind() {
	case reflect.Slice:
		if elem := v.Type().Elem(); elem.Kind() == reflect.String && !strings.HasPrefix(value, "[") {
			d.words(v, key, value)
			return
		}
		fallthrough
	case reflect.Map, reflect.Struct:
		if root := d.parse(value); root != nil {
			d.value(root, v, key)
		} else if len(d.errs) == 0 {
			v.SetZero()
		}
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		prepare(p.Elem())
		d.parsed(p.Elem(), key, value)
		v.Set(p)
	default:
		d.saw(ast.Node(nil), key)
		if err := d.set(v, value); err != nil {
			d.fail(nil, key, "%s", err)
		}
	}
}

func (d *decoder) words(v reflect.Value, key, value string) {
	d.saw(nil, key)
	out := reflect.MakeSlice(v.Type(), 0, 4)
	for w := range strings.SplitSeq(value, ",") {
		if w = strings.TrimSpace(w); w == "" {
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.set(e, w); err != nil {
			d.fail(nil, key, "%s", err)
		}
		out = reflect.Append(out, e)
	}
	v.Set(out)
}

// variables is every variable that sets a single value now, for "did you mean".
func variables(v reflect.Value, prefix string) []string {
	var out []string
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fields(v.Type()) {
			out = append(out, variables(v.FieldByIndex(f.index), prefix+variable(f.name)+"_")...)
		}
	case reflect.Map:
		if v.Len() == 0 {
			return []string{strings.TrimSuffix(prefix, "_")}
		}
		for _, k := range v.MapKeys() {
			out = append(out, variables(v.MapIndex(k), prefix+variable(k.String())+"_")...)
		}
	case reflect.Pointer:
		return variables(reflect.New(v.Type().Elem()).Elem(), prefix)
	default:
		return []string{strings.TrimSuffix(prefix, "_")}
	}
	slices.Sort(out)
	return out
}
