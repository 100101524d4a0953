package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		name, yaml string
		environ    []string
		want       []string // one for each line of the error, in order
	}{
		{"unknown key with its neighbour", "http:\n  listn: \":80\"\n", nil,
			[]string{`f.yaml:2: http.listn: unknown key (did you mean "listen"?)`}},
		{"unknown section", "htpp: {}\n", nil, []string{`f.yaml:1: htpp: unknown key (did you mean "http"?)`}},
		{"unknown key without a neighbour lists what there is", "log:\n  wibblewobble: 1\n", nil,
			[]string{`f.yaml:2: log.wibblewobble: unknown key (there are: level, format)`}},
		{"unit missing", "hls:\n  window: 60\n", nil,
			[]string{`f.yaml:2: hls.window: "60" is not a duration such as 500ms, 4s, 5m, 24h or 30d`}},
		{"unit of another kind", "spool:\n  max_bytes: 20s\n", nil,
			[]string{`f.yaml:2: spool.max_bytes: "20s" is not a size such as 64MiB, 20GiB or 1GB`}},
		{"several at once, in the file's order", "hls:\n  segment_duration: soon\nhttp:\n  max_connections: many\n  fail_on_stale: maybe\nlog: 7\n", nil, []string{
			`f.yaml:2: hls.segment_duration: "soon" is not a duration`,
			`f.yaml:4: http.max_connections: "many" is not a whole number`,
			`f.yaml:5: http.fail_on_stale: "maybe" is not true or false`,
			`f.yaml:6: log: a single value stands where keys with values belong`}},
		{"twice", "log:\n  level: info\n  level: warn\n", nil, []string{`f.yaml:3: log.level: this key stands here twice`}},
		{"no value", "log:\n  level:\n", nil, []string{`log.level: has no value: give it one, or leave the line out`}},
		{"a list for text", "log: {level: [info]}", nil, []string{`f.yaml:1: log.level: a list stands where text belongs`}},
		{"text for a list", "http: {cors_origins: x}", nil, []string{`f.yaml:1: http.cors_origins: a single value stands where a list belongs`}},
		{"a bool for text", "log: {level: true}", nil, []string{`f.yaml:1: log.level: true stands where text belongs`}},
		{"alias", "log: &a {level: info}\n", nil, []string{`f.yaml:1: log: anchors, aliases and tags are not used here`}},
		{"two documents", "log: {}\n---\nlog: {}\n", nil, []string{`f.yaml:3: a second document begins here`}},
		{"not YAML", "http: {listen\n", nil, []string{`f.yaml:1: not YAML: `}},
		{"a tab", "http:\n\tlisten: x\n", nil, []string{`that cannot start any token: indent with spaces, not with tabs`}},
		{"brackets without end", strings.Repeat("[", 1000), nil, []string{`f.yaml: brackets are nested 1000 deep`}},
		{"too large", strings.Repeat("#", MaxFile+1), nil, []string{`f.yaml: larger than 262144 bytes`}},

		{"secret without its variable", "storage:\n  access_key: k\n  secret_key: ${NO_SUCH}\n", nil,
			[]string{`f.yaml:3: storage.secret_key: environment variable NO_SUCH is not set`}},
		{"secret half written", "storage: {secret_key: \"${NO\"}", nil, []string{`storage.secret_key: there is a ${ without a name and a } after it`}},

		{"environment: bad value", "", []string{"HLSORIGIN_HLS_WINDOW=60"},
			[]string{`environment variable HLSORIGIN_HLS_WINDOW: "60" is not a duration`}},
		{"environment: bad together with the file", "hls: {window: 3s}", []string{"HLSORIGIN_HLS_SEGMENT_DURATION=20s"},
			[]string{`f.yaml:1: hls.max_target_duration: 12s`, `f.yaml:1: hls.window: 3s is less than three target durations (3 × 20s)`}},
		{"environment: one value against the others", "", []string{"HLSORIGIN_HLS_WINDOW=5s"}, []string{`environment variable HLSORIGIN_HLS_WINDOW: 5s is less than three`}},

		{"window", "hls:\n  window: 8s\n", nil, []string{`f.yaml:2: hls.window: 8s is less than three target durations (3 × 4s): players could not start`}},
		{"segment duration", "hls:\n  segment_duration: 40s\n", nil, []string{`f.yaml:2: hls.segment_duration: 40s is outside 1s to 30s`}},
		{"target duration", "hls:\n  target_duration: 2s\n", nil, []string{`hls.target_duration: 2s is shorter than segment_duration (4s)`}},
		{"app's own window", "apps:\n  live:\n    hls: {window: 5s}\n", nil, []string{`f.yaml:3: apps.live.hls.window: 5s is less than`}},
		{"store", "storage:\n  url: ftp://x\n", nil, []string{`f.yaml:2: storage.url: "ftp://x" is not file://directory or s3://bucket/prefix`}},
		{"unknown packaging", "storage:\n  packagings: [ts, dash]\n", nil, []string{`f.yaml:2: storage.packagings[1]: "dash" is none of ts, cmaf`}},
		{"packaging without ts", "storage:\n  packagings: [cmaf]\n", nil, []string{`f.yaml:2: storage.packagings: ts must be among them`}},
		{"packaging twice", "storage:\n  packagings: [ts, cmaf, cmaf]\n", nil, []string{`f.yaml:2: storage.packagings: "cmaf" is there twice`}},
		{"no packaging", "storage:\n  packagings: []\n", nil, []string{`f.yaml:2: storage.packagings: ts must be among them`}},
		{"half a pair of keys", "storage: {access_key: a}", nil, []string{`storage.access_key: access_key and secret_key go together`}},
		{"bucket in spool", "storage: {url: file://data/spool/b}", nil, []string{`spool.dir: "data/spool" and the bucket "data/spool/b" lie in one another`}},
		{"a replica that is none", "storage: {url: s3://b, replica: {url: s3://b}}", nil, []string{`storage.replica.url: "s3://b": a replica needs a bucket of its own`}},
		{"address", "http: {listen: \"5080\"}", nil, []string{`http.listen: "5080" is not an address to listen on`}},
		{"port twice", "admin: {listen: \"127.0.0.1:5080\"}", nil, []string{`admin.listen: "127.0.0.1:5080" wants the same port as http.listen (":5080")`}},
		{"odd RTP port", "rtsp: {udp_rtp: \":8001\", udp_rtcp: \":8002\"}", nil, []string{`rtsp.udp_rtp: RTP needs an even port and RTCP the next one, not 8001 and 8002`}},
		{"half a TLS", "rtmp: {tls: {listen: \":1936\"}}", nil, []string{`rtmp.tls.listen: needs rtmp.tls.cert and rtmp.tls.key beside it`}},
		{"enumeration", "spool: {fsync: often}", nil, []string{`spool.fsync: "often" is none of never, segment, always`}},
		{"streams of their own", "metrics: {max_streams: -1}", nil, []string{`metrics.max_streams: -1: 0 to 10000`}},
		{"limit", "rtmp: {max_connections: 0}", nil, []string{`rtmp.max_connections: 0: at least 1 is needed`}},
		{"hls.js", "admin: {hls_js: {url: \"javascript:1\"}}", nil, []string{`admin.hls_js.url: "javascript:1" is neither`}},
		{"cors", "http:\n  cors_origins:\n    - https://a.example\n    - https://a.example/\n", nil, []string{`f.yaml:4: http.cors_origins[1]: "https://a.example/" is neither`}},

		{"app's name", "apps: {api: {}, \"a b\": {}}", nil, []string{`apps.a b: "a b" cannot be an app`, `apps.api: "api" cannot be an app: the server answers`}},
		{"stream's name", "apps: {live: {keys: {a.ts: s}}}", nil, []string{`apps.live.keys.a.ts: "a.ts" cannot be a stream`}},
		{"one secret for two", "apps:\n  live:\n    keys:\n      a: same\n      b: same\n", nil, []string{`f.yaml:5: apps.live.keys.b: is the same secret as that of "a"`}},
		{"empty secret", "apps: {live: {keys: {a: \"\"}}}", nil, []string{`apps.live.keys.a: is empty`}},
		{"secret in the open", "apps: {live: {keys: {a: a}}}", nil, []string{`apps.live.keys.a: is the public name of a stream`}},
		{"secret that a URL would cut", "apps: {live: {keys: {a: \"x?y\"}}}", nil, []string{`apps.live.keys.a: holds a space or one of`}},
		{"keys and open", "apps: {live: {publish: open, keys: {a: x}}}", nil, []string{`apps.live.publish: open lets anybody publish`}},
		{"publish", "apps: {live: {publish: all}}", nil, []string{`apps.live.publish: "all" is none of "", open`}},
		{"a pair of ladders", "hls: {deterministic: true}\napps: {live: {groups: {a: [b]}}}", nil, []string{`apps.live: hls.deterministic does not work for ladders`}},
		{"ladder beside groups", "apps: {live: {groups: {a: [b]}, ladder: [{name: 720p, height: 720, bitrate: 2M}]}}", nil, []string{`apps.live.ladder: an app has groups or a ladder, not both`}},
		{"session data", "apps:\n  live:\n    session_data:\n      title: x\n      com.example.a: \"\"\n      com.example.b: 'say \"yes\"'\n      com.example.c: \"two\\nlines\"\n      com.example.d: " + strings.Repeat("x", 1025) + "\n", nil,
			[]string{`f.yaml:4: apps.live.session_data.title: "title" cannot be a DATA-ID`, `f.yaml:5: apps.live.session_data.com.example.a: must be text of 1 to 1024 bytes`, `f.yaml:6: apps.live.session_data.com.example.b: holds a double quote`, `f.yaml:7: apps.live.session_data.com.example.c: holds a double quote or a control`,
				`f.yaml:8: apps.live.session_data.com.example.d: must be text`}},
		{"too much session data", "apps: {live: {session_data: {" + manyIDs() + "}}}", nil, []string{`apps.live.session_data: 33 entries: at most 32`}},
		{"nine rungs", "apps: {live: {ladder: [" + strings.Join(nineRungs(), ", ") + "]}}", nil, []string{`apps.live.ladder: 9 rungs: at most 8`}},
		{"rung names", "apps: {live: {ladder: [{name: source, height: 720, bitrate: 2M}, {name: a_b, height: 720, bitrate: 2M}, {name: adaptive, height: 720, bitrate: 2M}]}}", nil,
			[]string{`apps.live.ladder[0].name: "source" is the name of a rung that is there anyway`, `apps.live.ladder[1].name: "a_b" cannot be`, `apps.live.ladder[2].name: "adaptive" cannot be`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse([]byte(tc.yaml), "f.yaml", tc.environ)
			if err == nil {
				t.Fatal("no error")
			}
			var one *Error
			if !errors.As(err, &one) {
				t.Errorf("%T is not made of *Error", err)
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range tc.want {
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Errorf("line %d lacks %q in:\n%v", i, want, err)
				}
			}
			if len(lines) > len(tc.want) {
				t.Errorf("%d lines, wanted %d:\n%v", len(lines), len(tc.want), err)
			}
		})
	}
}

func manyIDs() string {
	var all []string
	for i := range 33 {
		all = append(all, fmt.Sprintf("com.example.n%d: x", i))
	}
	return strings.Join(all, ", ")
}

func TestLadderMistakesNameTheRung(t *testing.T) {
	_, err := Parse([]byte("apps: {live: {groups: {g: [g, a, a], e: []}, ladder: [{name: x, height: 3, bitrate: 1k}, {name: x, height: 720, bitrate: 2500k}]}}"), "f", nil)
	for _, want := range []string{
		`apps.live.groups.g[0]: "g" is a group itself`, `apps.live.groups.g[2]: "a" is in group "g" already`, `apps.live.groups.e: has no streams`,
		`apps.live.ladder[0].height: 3 is not`, `apps.live.ladder[0].bitrate: 1k is outside`, `apps.live.ladder[1].name: "x" is the name of another`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q:\n%v", want, err)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	src := "apps:\n  show:\n    keys: {cam: \"${CAM_KEY}-1\"}\nstorage: {url: s3://b/p, tags: {team: tv}, replica: {url: s3://c, workers: 2}}\nspool: {max_bytes: 1.5GiB}\n"
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path, []string{"CAM_KEY=abc", "HLSORIGIN_LOG_LEVEL=debug", "PATH=/bin", "HLSORIGIN_TEST_SCALE=1"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Apps = map[string]App{"show": {Keys: map[string]Secret{"cam": "abc-1"}, Auth: defaultApp().Auth}}
	want.Storage.URL, want.Storage.Tags = "s3://b/p", map[string]string{"team": "tv"}
	want.Storage.Replica = &Bucket{URL: "s3://c", Workers: 2, Checksum: "none", NoProgressTimeout: seconds(15)}
	want.Spool.MaxBytes, want.Log.Level = 3<<29, "debug"
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := Load(path+"x", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if got, err := Load("", nil); err != nil || !equal(got, Default()) {
		t.Errorf("no file gives %v", err)
	}
	if err := os.Truncate(path, MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file gives %v", err)
	}
}

func TestEmptyFilesAreDefaults(t *testing.T) {
	for _, src := range []string{"", "\n", "# only words\n", "---\n", "{}\n", "http:\napps:\n  live:\n"} {
		if got, err := Parse([]byte(src), "f", nil); err != nil || !equal(got, Default()) {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(DefaultYAML(), "HLSORIGIN_HTTP_LISTEN", ":80")
	f.Add("apps: {live: {keys: {a: \"${B}\"}, hls: {window: 90s}}}", "HLSORIGIN_APPS_LIVE_PUBLISH", "open")
	f.Add("? {a: b}\n: c\n- x", "HLSORIGIN_APPS", "{x: {}}")
	f.Add("a: &b c\nd: *b\n<<: *b\n--- !!x |\n  y", "HLSORIGIN_STORAGE_TAGS_A", "b")
	f.Fuzz(func(t *testing.T, src, name, value string) {
		c, err := Parse([]byte(src), "f", []string{name + "=" + value})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		// What was accepted can be printed, and the print is the same configuration but for its secrets.
		for _, a := range c.Apps {
			if len(a.Keys) > 0 || a.Auth.JWT.Secret != "" {
				return
			}
		}
		again, err := Parse([]byte(c.String()), "print", nil)
		if err != nil || !equal(c, again) {
			t.Fatalf("printed:\n%s\nread back: %v", c, err)
		}
	})
}

func nineRungs() (rungs []string) {
	for i := range 9 {
		rungs = append(rungs, fmt.Sprintf("{name: r%d, height: 720, bitrate: 2M}", i))
	}
	return rungs
}
