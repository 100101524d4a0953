package cdn

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// rules are what the printed template tells CloudFront, read back from the template itself: the tests put in front of a server what
// operators would.
type rules struct {
	OriginPath, SecretHeader, BucketPath                string
	ConnectionTimeout, Attempts, ReadTimeout, KeepAlive int // seconds, but for Attempts
	Playlists, Segments                                 ttls
	Queries                                             []string
	Errors                                              []errorRule
	PlaylistFailover, SegmentFailover                   []int
	TargetDuration                                      int  // seconds; of the server, for the tests
	Signed                                              bool // nobody is served without a signature
}

type ttls struct{ Min, Default, Max int } // seconds

type errorRule struct {
	Status  int `yaml:"ErrorCode"`
	Seconds int `yaml:"ErrorCachingMinTTL"`
}

// cachePolicy is the part of such a resource that is read.
type cachePolicy struct {
	Properties struct {
		CachePolicyConfig struct {
			MinTTL                                   int `yaml:"MinTTL"`
			DefaultTTL                               int `yaml:"DefaultTTL"`
			MaxTTL                                   int `yaml:"MaxTTL"`
			ParametersInCacheKeyAndForwardedToOrigin struct {
				EnableAcceptEncodingGzip bool           `yaml:"EnableAcceptEncodingGzip"`
				CookiesConfig            map[string]any `yaml:"CookiesConfig"`
				HeadersConfig            map[string]any `yaml:"HeadersConfig"`
				QueryStringsConfig       struct {
					QueryStringBehavior string   `yaml:"QueryStringBehavior"`
					QueryStrings        []string `yaml:"QueryStrings"`
				} `yaml:"QueryStringsConfig"`
			} `yaml:"ParametersInCacheKeyAndForwardedToOrigin"`
		} `yaml:"CachePolicyConfig"`
	} `yaml:"Properties"`
}

// behavior is what is read of one.
type behavior struct {
	TrustedKeyGroups []any `yaml:"TrustedKeyGroups"`
}

// rulesFor prints the template for a running server and reads it. With a bucket the template is printed as for one in S3. The
// flags are further ones of the command.
func rulesFor(t *testing.T, p *rig.Process, bucket bool, flags ...string) rules {
	t.Helper()
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"cloudfront", "-config", p.Args[1], "-domain", "origin.example.com"}, flags...)
	env := p.Env
	if bucket {
		env = append(slices.Clone(env), "HLSORIGIN_STORAGE_URL=s3://bucket", "HLSORIGIN_STORAGE_REGION=eu-central-1")
	} else {
		args = append(args, "-no-bucket")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = p.Dir, env
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("hlsorigin %v: %v", args, err)
	}
	var doc struct {
		Resources struct {
			Distribution struct {
				Properties struct {
					DistributionConfig struct {
						Origins []struct {
							OriginPath         string `yaml:"OriginPath"`
							ConnectionTimeout  int    `yaml:"ConnectionTimeout"`
							ConnectionAttempts int    `yaml:"ConnectionAttempts"`
							CustomOriginConfig struct {
								OriginReadTimeout      int `yaml:"OriginReadTimeout"`
								OriginKeepaliveTimeout int `yaml:"OriginKeepaliveTimeout"`
							} `yaml:"CustomOriginConfig"`
							OriginCustomHeaders []struct {
								HeaderName string `yaml:"HeaderName"`
							} `yaml:"OriginCustomHeaders"`
						} `yaml:"Origins"`
						OriginGroups struct {
							Items []struct {
								ID               string `yaml:"Id"`
								FailoverCriteria struct {
									StatusCodes struct {
										Items []int `yaml:"Items"`
									} `yaml:"StatusCodes"`
								} `yaml:"FailoverCriteria"`
							} `yaml:"Items"`
						} `yaml:"OriginGroups"`
						CustomErrorResponses []errorRule `yaml:"CustomErrorResponses"`
						DefaultCacheBehavior behavior    `yaml:"DefaultCacheBehavior"`
						CacheBehaviors       []behavior  `yaml:"CacheBehaviors"`
					} `yaml:"DistributionConfig"`
				} `yaml:"Properties"`
			} `yaml:"Distribution"`
			PlaylistCache cachePolicy `yaml:"PlaylistCache"`
			SegmentCache  cachePolicy `yaml:"SegmentCache"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("the printed template: %v", err)
	}
	d := doc.Resources.Distribution.Properties.DistributionConfig
	lists, segs := doc.Resources.PlaylistCache.Properties.CachePolicyConfig, doc.Resources.SegmentCache.Properties.CachePolicyConfig
	r := rules{
		OriginPath: d.Origins[0].OriginPath, ConnectionTimeout: d.Origins[0].ConnectionTimeout, Attempts: d.Origins[0].ConnectionAttempts,
		ReadTimeout: d.Origins[0].CustomOriginConfig.OriginReadTimeout, KeepAlive: d.Origins[0].CustomOriginConfig.OriginKeepaliveTimeout,
		Playlists: ttls{lists.MinTTL, lists.DefaultTTL, lists.MaxTTL}, Segments: ttls{segs.MinTTL, segs.DefaultTTL, segs.MaxTTL},
		Queries: lists.ParametersInCacheKeyAndForwardedToOrigin.QueryStringsConfig.QueryStrings,
		Errors:  d.CustomErrorResponses, TargetDuration: targetDuration,
		Signed: !slices.ContainsFunc(append(d.CacheBehaviors, d.DefaultCacheBehavior), func(b behavior) bool { return len(b.TrustedKeyGroups) == 0 }),
	}
	if h := d.Origins[0].OriginCustomHeaders; len(h) == 1 {
		r.SecretHeader = h[0].HeaderName
	}
	if bucket {
		r.BucketPath = d.Origins[1].OriginPath
		for _, g := range d.OriginGroups.Items {
			switch g.ID {
			case "PlaylistsOrBucket":
				r.PlaylistFailover = g.FailoverCriteria.StatusCodes.Items
			case "SegmentsOrBucket":
				r.SegmentFailover = g.FailoverCriteria.StatusCodes.Items
			}
		}
	}
	// What the rig does whatever the template says.
	lists2, segs2 := lists.ParametersInCacheKeyAndForwardedToOrigin, segs.ParametersInCacheKeyAndForwardedToOrigin
	if !lists2.EnableAcceptEncodingGzip || segs2.EnableAcceptEncodingGzip || segs2.QueryStringsConfig.QueryStringBehavior != "none" ||
		lists2.CookiesConfig["CookieBehavior"] != "none" || segs2.HeadersConfig["HeaderBehavior"] != "none" || len(r.Queries) == 0 ||
		r.OriginPath == "" || r.SecretHeader == "" || r.Playlists.Max == 0 || r.ReadTimeout == 0 || len(r.Errors) == 0 ||
		bucket && (len(r.PlaylistFailover) == 0 || len(r.SegmentFailover) == 0 || r.BucketPath == "") {
		t.Fatalf("the template is not what the rig plays: %+v", r)
	}
	return r
}

// QueryPattern returns the allow-list as an alternative of a regular expression.
func (r rules) QueryPattern() string {
	quoted := make([]string, len(r.Queries))
	for i, q := range r.Queries {
		quoted[i] = regexp.QuoteMeta(q)
	}
	return strings.Join(quoted, "|")
}

// AttemptLines returns one element for each attempt to reach the origin.
func (r rules) AttemptLines() []struct{} { return make([]struct{}, r.Attempts) }

// age returns for how long the edge keeps an answer.
func (r rules) age(path string, status int, cacheControl string) time.Duration {
	said := -1
	if m := maxAge.FindStringSubmatch(cacheControl); m != nil {
		said, _ = strconv.Atoi(m[1])
	}
	if status >= 400 {
		least := 10
		for _, e := range r.Errors {
			if e.Status == status {
				least = e.Seconds
			}
		}
		return time.Duration(max(least, said)) * time.Second
	}
	t := r.Segments
	if strings.Contains(path, ".m3u8") || strings.Contains(path, ".mpd") {
		t = r.Playlists
	}
	if said < 0 {
		said = t.Default
	}
	return time.Duration(min(max(said, t.Min), t.Max)) * time.Second
}

var maxAge = regexp.MustCompile(`max-age=([0-9]+)`)

// cdnSecret is known only to the edge.
const cdnSecret = "of-edge-and-server"

// cdn is an edge in front of a server, and all that stands between them:
//
//	players ─▶ Varnish (ages, collapsing, errors) ─▶ nginx (origin groups) ─▶ tap ─▶ server
//	                                                       └─▶ bucket
//
// Without a bucket there is no nginx.
type cdn struct {
	rules
	url    string // of the edge, with a trailing slash: what viewers know
	tap    *tap
	bucket *shelfServer
}

// front puts an edge in front of a server; bucket is the directory of its bucket, "" for none.
func front(t *testing.T, p *rig.Process, bucket string) *cdn {
	t.Helper()
	return frontOf(t, rulesFor(t, p, bucket != ""), p.HTTP, bucket)
}

// frontOf puts an edge in front of any address.
func frontOf(t *testing.T, r rules, origin, bucket string) *cdn {
	t.Helper()
	rig.Need(t, "varnishd")
	c := &cdn{rules: r, tap: newTap(t, origin)}
	behind := c.tap.address
	if bucket != "" {
		rig.Need(t, "nginx")
		c.bucket = serveBucket(t, bucket)
		behind = startGroups(t, r, c.tap.address, c.bucket.address)
	}
	host, port, err := net.SplitHostPort(behind)
	if err != nil {
		t.Fatal(err)
	}
	folder, listen := t.TempDir(), rig.FreeAddress(t)
	if bucket != "" { // the groups add path and secret, because only they know which origin it becomes
		r.OriginPath, r.SecretHeader = "", ""
	}
	vcl := fill(t, "edge.vcl", filepath.Join(folder, "edge.vcl"), struct {
		rules
		Host, Port, Secret string
	}{r, host, port, cdnSecret})
	edge := rig.Launch(t, "varnishd", "-j", "none", "-F", "-n", filepath.Join(folder, "varnish"), "-a", listen, "-f", vcl, "-s", "malloc,128m",
		"-p", "http_gzip_support=off", "-p", "max_restarts=8", "-p", "thread_pool_min=50", "-p", "thread_pool_max=500", "-p", "thread_pools=1",
		// A thousand who are answered at once ask at once for the next, on connections that nobody closes meanwhile.
		"-p", "thread_queue_limit=5000", "-p", "timeout_idle=60")
	stopGently(t, edge)
	c.url = "http://" + listen + "/"
	rig.Eventually(t, 60*time.Second, "the edge is up", func() bool {
		select {
		case <-edge.Done:
			t.Fatalf("varnishd ended: %v\n%s", edge.Err, edge.Out)
		default:
		}
		res, err := http.Get(c.url + "edge-is-up")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return c
}

// startGroups starts nginx with the origin groups and returns its address.
func startGroups(t *testing.T, r rules, origin, bucket string) string {
	t.Helper()
	folder, listen := t.TempDir(), rig.FreeAddress(t)
	conf := fill(t, "group.conf", filepath.Join(folder, "nginx.conf"), struct {
		rules
		Origin, Bucket, Listen, Secret string
	}{r, origin, bucket, listen, cdnSecret})
	groups := rig.Launch(t, "nginx", "-p", folder, "-e", "stderr", "-c", conf)
	stopGently(t, groups)
	rig.Eventually(t, 30*time.Second, "the groups listen", func() bool {
		select {
		case <-groups.Done:
			t.Fatalf("nginx ended: %v\n%s", groups.Err, groups.Out)
		default:
		}
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return listen
}

// fill writes a file from a template of testdata.
func fill(t *testing.T, name, path string, data any) string {
	t.Helper()
	tmpl, err := template.New(name).Option("missingkey=error").ParseFiles(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stopGently lets a program end its own children before it is killed.
func stopGently(t *testing.T, x *rig.Tool) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", x.Name, x.Out)
		}
		_ = x.Cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-x.Done:
		case <-time.After(10 * time.Second):
		}
	})
}

// shelfServer is a publicly readable bucket, like S3 behind an origin access control.
type shelfServer struct {
	address string
	log     visits
}

func serveBucket(t *testing.T, folder string) *shelfServer {
	t.Helper()
	store, err := dir.Open(dir.Options{Path: folder})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelfServer{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visit{key: r.URL.RequestURI(), came: time.Now()}
		defer func() { s.log.add(v) }()
		body, o, err := store.Get(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), 0, -1)
		if err != nil {
			v.status = http.StatusNotFound
			http.Error(w, "<Error><Code>NoSuchKey</Code></Error>", http.StatusNotFound)
			return
		}
		defer body.Close()
		v.status = http.StatusOK
		h := w.Header()
		h.Set("Server", "AmazonS3")
		h.Set("Content-Type", o.ContentType)
		h.Set("Content-Length", strconv.FormatInt(o.Size, 10))
		h.Set("ETag", fmt.Sprintf("%q", o.ETag))
		h.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
		for name, value := range map[string]string{"Cache-Control": o.CacheControl, "Content-Encoding": o.ContentEncoding} {
			if value != "" {
				h.Set(name, value)
			}
		}
		_, _ = io.Copy(w, body)
	}))
	t.Cleanup(func() {
		srv.Close()
		_ = store.Close()
	})
	s.address = strings.TrimPrefix(srv.URL, "http://")
	return s
}
