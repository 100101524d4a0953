// Package series makes metrics of single streams, for as many as may have series of their own; all others of an app are shown together.
// So a server of thousands of streams does not bring Prometheus down, and none is missing in a sum. It refuses to measure: what it shows
// it is given.
package series

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// Other is the name under which the streams of an app are shown together that have no series of their own. No stream can have it.
const Other = "_other"

// Stream is what there is to show of one stream.
type Stream struct {
	App, Name string
	vitals.Reading
	Live           bool          // frames come
	Window         time.Duration // of the live playlist
	TargetDuration time.Duration // 0: not known yet
	Unsent         int64         // bytes that no bucket has confirmed
}

// add makes s stand for o too: counters and bytes are added up, of all else the worst is kept.
func (s *Stream) add(o *Stream) {
	s.Reading.Add(&o.Reading)
	if s.Window == 0 || o.Window > 0 && o.Window < s.Window {
		s.Window = o.Window
	}
	s.TargetDuration = max(s.TargetDuration, o.TargetDuration)
	s.Unsent += o.Unsent
}

// Collector shows streams to Prometheus. It is safe for concurrent use.
type Collector struct {
	streams func() []Stream
	max     atomic.Int64
	descs   descs

	mu     sync.Mutex
	own    map[name]bool              // those with series of their own, as long as they are there
	folded map[name]vitals.Reading    // what the others had counted when they were last seen
	gone   map[string]*vitals.Reading // by app: what those of them had counted that are not there any more
}

type name struct{ app, stream string }

// New makes a Collector of what streams returns, in which no name stands twice. At most limit of them have series of their own, those that
// came first.
func New(streams func() []Stream, limit int) *Collector {
	c := &Collector{streams: streams, descs: newDescs(), own: map[name]bool{}, folded: map[name]vitals.Reading{}, gone: map[string]*vitals.Reading{}}
	c.SetMax(limit)
	return c
}

// SetMax changes how many streams have series of their own, for those that come from now on.
func (c *Collector) SetMax(limit int) { c.max.Store(int64(limit)) }

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.descs.each(func(d *prometheus.Desc) { ch <- d })
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	own, others := c.look()
	for i := range own {
		c.descs.show(ch, &own[i], b2f(own[i].Live))
	}
	for _, o := range others {
		ch <- prometheus.MustNewConstMetric(c.descs.folded, prometheus.GaugeValue, float64(o.streams), o.App)
		if o.shown {
			c.descs.show(ch, &o.Stream, float64(o.live))
		}
	}
}

// others is the streams of an app that are shown together.
type others struct {
	Stream
	streams, live int
	shown         bool // there are, or were, some
}

// look sorts the streams into those with series of their own, and the others by app. A stream stays what it is for as long as it is there, and
// what others had counted stays counted when they have gone: a counter must not fall.
func (c *Collector) look() (own []Stream, rest []*others) {
	all := c.streams()
	slices.SortFunc(all, func(a, b Stream) int { return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Name, b.Name)) })
	c.mu.Lock()
	defer c.mu.Unlock()
	here := make(map[name]bool, len(all))
	for i := range all {
		here[name{all[i].App, all[i].Name}] = true
	}
	for n := range c.own {
		if !here[n] {
			delete(c.own, n)
		}
	}
	for n, r := range c.folded {
		if here[n] {
			continue
		}
		if c.gone[n.app] == nil {
			c.gone[n.app] = &vitals.Reading{}
		}
		r.KeyframeInterval, r.Skew = 0, 0
		c.gone[n.app].Add(&r)
		delete(c.folded, n)
	}
	byApp := map[string]*others{}
	app := func(of string) *others {
		o := byApp[of]
		if o == nil {
			o = &others{Stream: Stream{App: of, Name: Other}}
			if r := c.gone[of]; r != nil {
				o.Reading, o.shown = *r, true
			}
			byApp[of] = o
			rest = append(rest, o)
		}
		return o
	}
	for of := range c.gone {
		app(of)
	}
	for i := range all {
		s := &all[i]
		n := name{s.App, s.Name}
		o := app(s.App)
		if _, was := c.folded[n]; !was && (c.own[n] || int64(len(c.own)) < c.max.Load()) {
			c.own[n] = true
			own = append(own, *s)
			continue
		}
		c.folded[n] = s.Reading
		o.add(s)
		o.shown = true
		if o.streams++; s.Live {
			o.live++
		}
	}
	return own, rest
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
