package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// siege is what attackers do. They are a process of their own, so that they cannot take CPU time from the server and from those who measure
// it: real attackers have their own machines.
type siege struct {
	Addresses map[string]string // of the ports, by name
	Guess     [2]string         // where wrong credentials are tried, over RTMP and RTSP: a tunnel with its own address
	Segment   string            // path
	Crowd     int               // connections at a time on each port
	Lasts     time.Duration
	Scale     float64 // of the guesses and requests per second
}

// siegeVariable holds a siege that a test process shall run instead of tests.
const siegeVariable = "HLSORIGIN_TEST_SIEGE"

func TestMain(m *testing.M) {
	if raw := os.Getenv(siegeVariable); raw != "" {
		var s siege
		if err := json.Unmarshal([]byte(raw), &s); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		s.run()
		os.Exit(0)
	}
	rig.Main(m)
}

// besieged starts the attackers of f, with the lowest CPU priority.
func (f *fortress) besieged(t *testing.T, crowd int, lasts time.Duration, segment string) *rig.Tool {
	t.Helper()
	const from = "PROXY TCP4 203.0.113.66 127.0.0.1 4000 1935\r\n"
	s := siege{
		Addresses: map[string]string{}, Guess: [2]string{rig.Tunnel(t, f.RTMP, from), rig.Tunnel(t, f.RTSP, from)},
		Segment: segment, Crowd: crowd, Lasts: lasts, Scale: rig.Scale(),
	}
	for name, p := range f.ports {
		s.Addresses[name] = p.address
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return rig.Launch(t, "nice", "-n", "19", "env", siegeVariable+"="+string(raw), os.Args[0])
}

// run runs the siege to its end.
func (s *siege) run() {
	ctx, cancel := context.WithTimeout(context.Background(), s.Lasts)
	defer cancel()
	ports := map[string]port{}
	for name, address := range s.Addresses {
		ports[name] = port{address: address}
	}
	kinds := map[string][]kind{"rtmp": rtmpKinds(), "rtsp": rtspKinds(), "http": httpKinds(s.Segment), "admin": httpKinds("/metrics")}
	for name, of := range map[string]string{"rtmps": "rtmp", "rtsps": "rtsp", "https": "http"} {
		kinds[name] = append(slices.Clone(kinds[of]), helloStall)
		ports[name] = port{ports[name].address, &tls.Config{InsecureSkipVerify: true}}
	}
	var m mob
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		m.besiege(ctx, ports[name], kinds[name], s.Crowd, 15*time.Second)
	}
	s.guess(ctx, &m)
	s.storm(ctx, &m)
	m.all.Wait()
	fmt.Printf("%d connections, %d of them failed\n", m.dialed.Load(), m.failed.Load())
}

// guess tries wrong credentials over both protocols.
func (s *siege) guess(ctx context.Context, m *mob) {
	const guessers = 8
	interval := time.Duration(float64(guessers*time.Second) / max(50, 500*s.Scale))
	m.every(ctx, interval, guessers, func() { _ = publishRTMP(port{address: s.Guess[0]}, fmt.Sprint("guess", rand.Uint32())) })
	m.every(ctx, interval, guessers, func() {
		c, err := net.Dial("tcp", s.Guess[1])
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "ANNOUNCE rtsp://x/live/show?key=guess%d RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0\r\nm=x\r\n", rand.Uint32())
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = bufio.NewReader(c).ReadString('\n')
	})
}

// storm requests what does not exist, and views of the show that nobody requested before.
func (s *siege) storm(ctx context.Context, m *mob) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	ask := func(paths ...func() string) func() {
		return func() {
			p := paths[rand.IntN(len(paths))]()
			for _, base := range []string{"http://" + s.Addresses["http"], "https://" + s.Addresses["https"]} {
				res, err := client.Get(base + p)
				if err != nil {
					continue
				}
				_ = res.Body.Close()
			}
		}
	}
	entry := "/live/streams/show.m3u8"
	now := time.Now()
	at := func() int64 { return now.Add(rand.N(time.Hour) - time.Hour).Unix() }
	const askers = 8
	interval := time.Duration(float64(askers*time.Second) / max(100, 1000*s.Scale))
	m.every(ctx, interval, askers, ask(
		func() string { return fmt.Sprintf("%s?start=%d", entry, at()) },
		func() string {
			return fmt.Sprintf("%s?start=%d&end=%d", entry, at(), now.Add(rand.N(time.Minute)).Unix())
		},
		func() string { return fmt.Sprintf("%s?time_delay=%d", entry, rand.IntN(10000)) },
		func() string { return fmt.Sprintf("/live/streams/x%d.m3u8", rand.Uint32()) },
		func() string {
			return fmt.Sprintf("/live/streams/show-2020-01-01_00-00-%02d.%03d.m3u8", rand.IntN(60), rand.IntN(1000))
		},
		func() string {
			return fmt.Sprintf("/live/streams/x%d/2020-01-01_00-00-00.000/%09d.ts", rand.Uint32(), rand.IntN(1000))
		},
		func() string { return fmt.Sprintf("/%d/%d/%d", rand.Uint32(), rand.Uint32(), rand.Uint32()) },
	))
}
