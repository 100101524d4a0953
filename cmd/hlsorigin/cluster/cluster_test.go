package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/roster"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// careless is a store that does not keep to conditions.
type careless struct{ *storetest.Memory }

func (c careless) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	a.IfMatch, a.IfAbsent = "", false
	return c.Memory.Put(ctx, key, body, a)
}

// Two servers see each other, with what each says of itself.
func TestNodes(t *testing.T) {
	now := newClock()
	store := &storetest.Memory{Now: now.Now}
	a, b := newNode(t, store, now.Now), newNode(t, store, now.Now, func(o *Options) {
		o.Now, o.Version = func() time.Time { return now.Now().Add(5 * time.Second) }, "v2"
	})
	for name, n := range map[string]*node{"a": a, "b": b} {
		if err := n.Begin(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.publish(t, "cam"); err != nil {
		t.Fatal(err)
	}
	all := a.Nodes(t.Context())
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	one, two := all[0], all[1]
	if one.Node.Node != "a" || !one.Self || !one.Reachable || one.Clock != 0 || one.Streams != 0 || one.Address != a.at {
		t.Errorf("%+v", one)
	}
	if two.Node.Node != "b" || two.Self || !two.Reachable || two.Clock != 5*time.Second || two.Streams != 1 || two.Version != "v2" || two.Draining {
		t.Errorf("%+v", two)
	}
	b.Drain(time.Hour)
	if all = a.Nodes(t.Context()); all[1].Draining {
		t.Error("they were asked again at once")
	}
	now.add(freshFor)
	if all = a.Nodes(t.Context()); !all[1].Draining {
		t.Errorf("%+v", all[1])
	}
	b.stop()
	now.add(freshFor)
	if all = a.Nodes(t.Context()); len(all) != 2 || all[1].Reachable || all[1].Problem == "" || all[1].Version != "v2" || !all[0].Reachable {
		t.Errorf("%+v", all)
	}
	now.add(freshFor)
	a.Nodes(t.Context())
	if a.log.count("not reached") != 1 || a.log.count("the clock of another server") != 1 {
		t.Errorf("it says %s", a.log.b.String())
	}
	now.add(forgetAfter + listEvery)
	if all = a.Nodes(t.Context()); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}

// Of a hundred servers that are gone for good, and whose addresses swallow what is sent there, none makes the others wait for long.
func TestManyAreGone(t *testing.T) {
	store := &storetest.Memory{Now: time.Now}
	n := newNode(t, store, time.Now)
	if err := n.Begin(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	quiet, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	for i := range 100 {
		e := roster.Entry{Node: fmt.Sprintf("gone%d", i), Address: "http://" + quiet.Addr().String(), Version: "v1", Instance: "i"}
		if err := roster.Write(t.Context(), store, e, ""); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	all := n.Nodes(t.Context())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	reached := 0
	for i := range all {
		if all[i].Reachable {
			reached++
		}
	}
	if len(all) != 101 || reached != 1 {
		t.Errorf("%d of %d are reached", reached, len(all))
	}
}

// A name that another server has, which answers, is refused; one of an earlier process of this server, or of one that is gone, is not.
func TestNames(t *testing.T) {
	store, now := &storetest.Memory{}, newClock()
	a := newNode(t, store, now.Now)
	if err := a.Begin(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	twin := newNode(t, store, now.Now)
	if err := twin.Begin(t.Context(), "a"); !errors.Is(err, errTwins) || !strings.Contains(err.Error(), a.at) || !strings.Contains(err.Error(), "cluster.node") {
		t.Errorf("%v", err)
	}
	if e, _, err := roster.Read(t.Context(), store, "a"); err != nil || e.Instance != a.instance {
		t.Errorf("the entry is %+v, %v", e, err)
	}
	a.stop()
	if err := twin.Begin(t.Context(), "a"); err != nil {
		t.Errorf("after the other's death: %v", err)
	}
	if e, _, err := roster.Read(t.Context(), store, "a"); err != nil || e.Instance != twin.instance {
		t.Errorf("the entry is %+v, %v", e, err)
	}
	if err := twin.Begin(t.Context(), "a"); err != nil {
		t.Errorf("its own entry: %v", err)
	}
	if keys := storetest.Keys(t, store, storage.Shared); len(keys) != 1 {
		t.Errorf("it leaves %q", keys)
	}
}

func TestStoreThatDoesNotKeepToConditions(t *testing.T) {
	n := newNode(t, careless{&storetest.Memory{}}, time.Now)
	if err := n.Begin(t.Context(), "a"); !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("%v", err)
	}
}

// A store that is away keeps no server from starting. What it would have said counts when it is back.
func TestStoreIsAway(t *testing.T) {
	store := storetest.NewFaulty(&storetest.Memory{})
	store.Set(storetest.Fault{Err: errors.New("away")})
	n := newNode(t, store, time.Now)
	if err := n.Begin(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if n.log.count("level=WARN") != 1 {
		t.Errorf("it says %s", n.log.b.String())
	}
	if err := n.enrolLater(t.Context()); err != nil || n.log.count("level=INFO") != 0 {
		t.Errorf("%v: %s", err, n.log.b.String())
	}
	if all := n.Nodes(t.Context()); len(all) != 1 || !all[0].Self || !all[0].Reachable {
		t.Errorf("%+v", all)
	}
	store.Set()
	for range 2 {
		if err := n.enrolLater(t.Context()); err != nil || n.log.count("this server is one of its cluster now") != 1 {
			t.Errorf("%v: %s", err, n.log.b.String())
		}
	}
	twin := newNode(t, store, time.Now)
	store.Set(storetest.Fault{Err: errors.New("away")})
	if err := twin.Begin(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	store.Set()
	if err := twin.enrolLater(t.Context()); !errors.Is(err, errTwins) {
		t.Errorf("%v", err)
	}
}

// What a server says of a stream: fed while its publisher sends.
func TestStream(t *testing.T) {
	now := newClock()
	n := newNode(t, &storetest.Memory{}, now.Now)
	if err := n.Begin(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if st := n.stream("live", "cam"); st.Fed || st.Recording != "" {
		t.Errorf("%+v", st)
	}
	s, _, err := n.publish(t, "cam")
	if err != nil {
		t.Fatal(err)
	}
	if st := n.stream("live", "cam"); !st.Fed || st.Remote != "192.0.2.1:99" || !st.Since.Equal(now.Now()) {
		t.Errorf("%+v", st)
	}
	now.add(3 * time.Second)
	if st := n.stream("live", "cam"); st.Fed {
		t.Errorf("silent: %+v", st)
	}
	s.Close(ingest.ErrUnpublished)
	if st := n.stream("live", "cam"); st.Fed {
		t.Errorf("gone: %+v", st)
	}
	got, err := n.Client().State(t.Context(), n.at, "live", "cam")
	if err != nil || got.Fed {
		t.Errorf("%+v, %v", got, err)
	}
}

// Only a server that does not answer may be taken for one that feeds nothing.
func TestFed(t *testing.T) {
	store := &storetest.Memory{}
	a, b := newNode(t, store, time.Now), newNode(t, store, time.Now)
	stranger := newNode(t, store, time.Now, func(o *Options) { o.Settings.Secret = "another-0123456789" })
	for name, n := range map[string]*node{"a": a, "b": b} {
		if err := n.Begin(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.publish(t, "cam"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at, stream string
		fed        bool
	}{{b.at, "cam", true}, {b.at, "other", false}, {stranger.at, "other", true}} {
		if fed, _, err := a.Fed(t.Context(), c.at, "live", c.stream); fed != c.fed || err != nil {
			t.Errorf("%+v: %v, %v", c, fed, err)
		}
	}
	b.stop()
	if fed, _, err := a.Fed(t.Context(), b.at, "live", "cam"); fed || !errors.Is(err, peer.ErrAway) {
		t.Errorf("one that is away: %v, %v", fed, err)
	}
}

// A server that takes connections and says nothing does not live: viewers would wait for it. One that will not say who it is lives.
func TestAlive(t *testing.T) {
	store := &storetest.Memory{}
	a, b := newNode(t, store, time.Now), newNode(t, store, time.Now)
	stranger := newNode(t, store, time.Now, func(o *Options) { o.Settings.Secret = "another-0123456789" })
	asleep, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer asleep.Close()
	for _, at := range []string{b.at, stranger.at} {
		if err := a.Alive(t.Context(), at); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // less than the client waits by itself
	defer cancel()
	if err := a.Alive(brief, "http://"+asleep.Addr().String()); err == nil {
		t.Error("one that is asleep lives")
	}
	b.stop()
	if err := a.Alive(t.Context(), b.at); !errors.Is(err, peer.ErrAway) {
		t.Errorf("one that has gone: %v", err)
	}
}

// What is awaited is awoken by a recording that begins, whatever is asked for of a stream, and nothing else is waited for.
func TestWatch(t *testing.T) {
	n := newNode(t, &storetest.Memory{}, time.Now)
	for _, path := range []string{"/live/streams/cam.m3u8", "/live/streams/cam/2024-05-01_10-00-00.000/live.m3u8", "/live/streams/cam/2024-05-01_10-00-00.000/ll.m3u8"} {
		if got := n.watch(path); len(got) != 1 || got[0] != n.registry.Changed() {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := n.watch("/time"); got != nil {
		t.Errorf("%v", got)
	}
}
