package loglimit

import (
	"log/slog"
	"strings"
)

// cut shortens a value that is a text or an error. A panic's stack is kept in full.
func cut(a slog.Attr) slog.Attr {
	if tooLong(a) {
		a.Value = slog.StringValue(strings.ToValidUTF8(a.Value.String()[:maxValue], "") + "…")
	}
	return a
}

func tooLong(a slog.Attr) bool {
	if a.Key == "stack" {
		return false
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return len(a.Value.String()) > maxValue
	case slog.KindAny:
		_, ok := a.Value.Any().(error)
		return ok && len(a.Value.String()) > maxValue
	}
	return false
}

// shortened returns r with its message and values cut.
func shortened(r slog.Record) slog.Record {
	text := r.Message
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "…"
	}
	out := slog.NewRecord(r.Time, r.Level, text, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(cut(a))
		return true
	})
	return out
}
