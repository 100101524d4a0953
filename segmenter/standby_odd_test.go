package segmenter

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
)

// leaves are the numbers, times and texts in v, by name.
func leaves(name string, v reflect.Value, visit func(name string, v reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		visit(name, v)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			leaves(name+"."+v.Type().Field(i).Name, v.Field(i), visit)
		}
	case v.Kind() == reflect.Slice && v.Len() > 0:
		leaves(name, v.Index(v.Len()-1), visit)
	case v.Kind() == reflect.Array:
		leaves(name, v.Index(0), visit)
	default:
		visit(name, v)
	}
}

// oddly are values that a leaf may have where the other server is broken, or of another version.
func oddly(v reflect.Value) (values []reflect.Value) {
	add := func(x any) { values = append(values, reflect.ValueOf(x).Convert(v.Type())) }
	switch v.Kind() {
	case reflect.Struct:
		add(time.Time{})
		add(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	case reflect.Int, reflect.Int64:
		for _, n := range []int64{0, -1, math.MaxInt64} {
			add(n)
		}
	case reflect.Uint8:
		add(uint8(255))
	case reflect.Uint32:
		add(uint32(1))
	case reflect.Uint64:
		add(uint64(0))
		add(uint64(math.MaxUint64))
	case reflect.Bool:
		add(!v.Bool())
	case reflect.String:
		add("")
		add("\xff/../..")
	}
	return values
}

// TestOddReports has a report whose values are odd, one at a time: who stands by does not join, or makes something else, which is found, or goes on.
// It never comes to harm.
func TestOddReports(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 25, audio: "aac"}
	early, rest := divide(on("cam", shape.frames(4*time.Second)), 2700*time.Millisecond)
	begun := func(t *testing.T) *duo {
		d := newDuo(t, AppOptions{LowLatency: true, SegmentDuration: time.Second, TargetDuration: time.Second})
		d.owner.play(early)
		for i := range early {
			d.write(&early[i])
		}
		return d
	}
	report := func(d *duo) pair.Report {
		p, ok := d.owner.reg.Report(Key{"live", "cam"}, false)
		if !ok || len(p.Boundaries) == 0 {
			t.Fatalf("%+v", p)
		}
		p.Boundaries = p.Boundaries[len(p.Boundaries)-1:]
		return p
	}
	joined := 0
	whole := report(begun(t))
	leaves("", reflect.ValueOf(&whole).Elem(), func(odd string, v reflect.Value) {
		for n, value := range oddly(v) {
			t.Run(fmt.Sprintf("%s %d", odd, n), func(t *testing.T) {
				d := begun(t)
				defer func() { d.standby.Close(errors.New("enough")) }()
				p := report(d)
				leaves("", reflect.ValueOf(&p).Elem(), func(name string, v reflect.Value) {
					if name == odd {
						v.Set(value)
					}
				})
				in, err := d.standby.Join(&p)
				if !in || err != nil {
					return
				}
				joined++
				for i := range rest {
					frame := rest[i].Frame
					d.second.now = start.Add(rest[i].at)
					frame.Arrival = d.second.now
					if err := d.standby.WriteFrame(&frame); err != nil {
						return
					}
				}
				d.owner.play(rest)
				_, _ = d.standby.Compare(&p)
				if next := d.owner.snap("cam").Whole().Next(); d.standby.Reaches(next) {
					_ = d.standby.Promote(d.recovered(next))
				}
			})
		}
	})
	if joined < 100 {
		t.Errorf("%d joined", joined)
	}
}
