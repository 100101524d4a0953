package configs

import (
	"fmt"
	"reflect"
)

// Tree is the whole configuration as JSON would have it: every key with the value in force, secrets hidden.
func (c Config) Tree() map[string]any { return tree(reflect.ValueOf(c)).(map[string]any) }

func tree(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if s, ok := v.Interface().(fmt.Stringer); ok && v.Kind() != reflect.Struct {
		return s.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for _, f := range fields(v.Type()) {
			if field := tree(v.FieldByIndex(f.index)); field != nil { // what is unset and has no default
				m[f.name] = field
			}
		}
		return m
	case reflect.Map:
		m := map[string]any{}
		for _, k := range v.MapKeys() {
			m[k.String()] = tree(v.MapIndex(k))
		}
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = tree(v.Index(i))
		}
		return list
	}
	return v.Interface()
}
