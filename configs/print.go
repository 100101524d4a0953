package configs

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// String is the whole configuration as YAML, every key with the value in force, secrets hidden.
func (c Config) String() string {
	var b strings.Builder
	printStruct(&b, reflect.ValueOf(c), "")
	return b.String()
}

func printStruct(b *strings.Builder, v reflect.Value, indent string) {
	for _, f := range fields(v.Type()) {
		printEntry(b, f.name, v.FieldByIndex(f.index), indent)
	}
}

// printEntry leaves out what is unset and has no default to show.
func printEntry(b *strings.Builder, name string, v reflect.Value, indent string) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.IsZero() {
			fmt.Fprintf(b, "%s%s: {}\n", indent, name)
			return
		}
		fmt.Fprintf(b, "%s%s:\n", indent, name)
		printStruct(b, v, indent+"  ")
	case reflect.Map:
		if v.Len() == 0 {
			fmt.Fprintf(b, "%s%s: {}\n", indent, name)
			return
		}
		fmt.Fprintf(b, "%s%s:\n", indent, name)
		keys := map[string]reflect.Value{}
		for _, k := range v.MapKeys() {
			keys[k.String()] = v.MapIndex(k)
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			printEntry(b, quote(k), keys[k], indent+"  ")
		}
	case reflect.Slice:
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, flow(v))
	default:
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, scalar(v))
	}
}

// flow is a list on one line.
func flow(v reflect.Value) string {
	parts := make([]string, v.Len())
	for i := range parts {
		e := v.Index(i)
		if e.Kind() != reflect.Struct {
			parts[i] = scalar(e)
			continue
		}
		var pairs []string
		for _, f := range fields(e.Type()) {
			value := e.FieldByIndex(f.index)
			if value.Kind() == reflect.Slice {
				pairs = append(pairs, f.name+": "+flow(value))
				continue
			}
			pairs = append(pairs, f.name+": "+scalar(value))
		}
		parts[i] = "{" + strings.Join(pairs, ", ") + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func scalar(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		if v.Kind() == reflect.String {
			return strconv.Quote(s.String())
		}
		return s.String()
	}
	if v.Kind() == reflect.String {
		return quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quote leaves plain words as they are.
func quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == '/' || r == '-'
	}
	if s != "" && s[0] != '-' && s != "true" && s != "false" && s != "null" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return strconv.Quote(s)
}
