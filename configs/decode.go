package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder carries a syntax tree into a Config. It goes on after a mistake, so that one run reports them all.
type decoder struct {
	file   string
	env    string // the variable that is being read, or empty
	lookup func(string) (string, bool)
	errs   Errors
	where  map[string]Error // key → where its value came from, for what validation finds later
}

// fail reports a mistake at the place of a node; nil: at no line.
func (d *decoder) fail(n ast.Node, key, format string, args ...any) {
	e := &Error{File: d.file, Line: line(n), Env: d.env, Key: key, Text: fmt.Sprintf(format, args...)}
	if d.env != "" {
		e.File, e.Line = "", 0
	}
	d.errs = append(d.errs, e)
}

func (d *decoder) saw(n ast.Node, key string) {
	e := Error{File: d.file, Line: line(n), Env: d.env}
	if d.env != "" {
		e.File, e.Line = "", 0
	}
	d.where[key] = e
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// field is one key of a struct, the keys of inlined structs among its own.
type field struct {
	name  string
	index []int
}

func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			for _, in := range fields(f.Type) {
				out = append(out, field{in.name, append([]int{i}, in.index...)})
			}
			continue
		}
		out = append(out, field{name, []int{i}})
	}
	return out
}

func names(fs []field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name
	}
	return out
}

// value decodes n into v.
func (d *decoder) value(n ast.Node, v reflect.Value, key string) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(n, key, "anchors, aliases and tags are not used here: write the value itself")
		return
	}
	d.saw(n, key)
	_, isNull := n.(*ast.NullNode)
	switch {
	case v.Kind() == reflect.Pointer:
		if isNull {
			return
		}
		p := reflect.New(v.Type().Elem())
		prepare(p.Elem())
		d.value(n, p.Elem(), key)
		v.Set(p)
	case v.Kind() == reflect.Struct:
		if !isNull {
			d.structure(n, v, key)
		}
	case v.Kind() == reflect.Map:
		v.SetZero()
		if !isNull {
			d.mapping(n, v, key)
		}
	case v.Kind() == reflect.Slice:
		v.SetZero()
		if !isNull {
			d.list(n, v, key)
		}
	default:
		d.scalar(n, v, key)
	}
}

// prepare gives a new value the defaults that its type has.
func prepare(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *Bucket:
		*p = defaultBucket("")
	case *App:
		*p = defaultApp()
	case *Webhook:
		*p = defaultWebhook()
	}
}

func (d *decoder) structure(n ast.Node, v reflect.Value, key string) {
	fs := fields(v.Type())
	d.pairs(n, key, func(name string, k, value ast.Node) {
		i := slices.IndexFunc(fs, func(f field) bool { return f.name == name })
		if i < 0 {
			d.fail(k, join(key, name), "unknown key%s", didYouMean(name, names(fs)))
			return
		}
		d.value(value, v.FieldByIndex(fs[i].index), join(key, name))
	})
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, key string) {
	m := reflect.MakeMap(v.Type())
	d.pairs(n, key, func(name string, _, value ast.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		prepare(e)
		d.value(value, e, join(key, name))
		m.SetMapIndex(reflect.ValueOf(name), e)
	})
	v.Set(m)
}

// pairs calls fn for each key of a mapping.
func (d *decoder) pairs(n ast.Node, key string, fn func(name string, k, value ast.Node)) {
	var all []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{n}
	default:
		d.fail(n, key, "%s stands where keys with values belong%s", describe(n), d.example(key))
		return
	}
	seen := map[string]bool{}
	for _, p := range all {
		k, ok := p.Key.(ast.ScalarNode)
		if _, merge := p.Key.(*ast.MergeKeyNode); !ok || merge {
			d.fail(p.Key, key, "anchors, aliases and tags are not used here: write the key itself")
			continue
		}
		name := text(k)
		if seen[name] {
			d.fail(k, join(key, name), "this key stands here twice")
			continue
		}
		seen[name] = true
		fn(name, k, p.Value)
	}
}

func (d *decoder) example(key string) string {
	if key == "" {
		return `, for example "http: {listen: \":5080\"}"`
	}
	return ""
}

func (d *decoder) list(n ast.Node, v reflect.Value, key string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, key, "%s stands where a list belongs, for example [a, b]", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, e := range seq.Values {
		prepare(out.Index(i))
		d.value(e, out.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
	v.Set(out)
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, key string) {
	s, ok := n.(ast.ScalarNode)
	if _, null := n.(*ast.NullNode); null {
		d.fail(n, key, "has no value: give it one, or leave the line out for the default")
		return
	}
	if !ok {
		d.fail(n, key, "%s stands where %s belongs", describe(n), accepts(v.Type()))
		return
	}
	if _, isBool := n.(*ast.BoolNode); isBool && v.Kind() == reflect.String {
		d.fail(n, key, "%s stands where text belongs: put it in quotes if you mean the word", text(s))
		return
	}
	if err := d.set(v, text(s)); err != nil {
		d.fail(n, key, "%s", err)
	}
}

// text is a scalar as it was written, quotes and block markers taken off.
func text(s ast.ScalarNode) string {
	switch s := s.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	}
	return s.GetToken().Value
}

// accepts names what a value of the type may look like.
func accepts(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return durationForm
	case reflect.TypeFor[Size]():
		return sizeForm
	case reflect.TypeFor[Bitrate]():
		return bitrateForm
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	}
	return "text"
}

// set gives a scalar its value from text; the environment comes this way too.
func (d *decoder) set(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *Duration:
		x, err := ParseDuration(s)
		*p = x
		return err
	case *Size:
		x, err := ParseSize(s)
		*p = x
		return err
	case *Bitrate:
		x, err := ParseBitrate(s)
		*p = x
		return err
	case *Secret:
		x, err := expand(s, d.lookup)
		*p = x
		return err
	case *URL:
		x, err := expand(s, d.lookup)
		*p = URL(x)
		return err
	case *string:
		*p = s
	case *bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("%q is not %s", s, accepts(v.Type()))
		}
		*p = s == "true"
	case *int:
		x, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not %s", s, accepts(v.Type()))
		}
		*p = x
	default:
		panic("configs: no decoder for " + v.Type().String()) // a field that was added without one; tests meet it at once
	}
	return nil
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	return "a single value"
}
