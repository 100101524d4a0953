package configs

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bad reports a value that could be read and cannot be used, where the value or what holds it came from.
func (d *decoder) bad(key, format string, args ...any) {
	e, at := Error{}, key
	for {
		found, ok := d.where[at]
		if ok {
			e = found
			break
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			break
		}
		at = at[:i]
	}
	if e.Line == 0 && e.Env == "" {
		e.File = d.file
	}
	e.Key, e.Text = key, fmt.Sprintf(format, args...)
	d.errs = append(d.errs, &e)
}

// minMemory is the least that a server of one show can live with, in bytes.
const minMemory = 64 << 20

// minSegment and maxSegment bound ingest_http.max_segment, in bytes: from a second of 8 Mb/s to what a segment may ever have.
const minSegment, maxSegment = 1 << 20, 256 << 20

// maxSeries is the most streams that may have series of their own: each has about 50, and Prometheus bears some millions.
const maxSeries = 10_000

// validate asks of every value whether the server could work with it, alone and beside the others.
func (d *decoder) validate(c Config) {
	d.listeners(c)
	d.http(c.HTTP)
	d.admin(c.Admin)
	for _, n := range []struct {
		key   string
		value int
	}{
		{"http.max_connections", c.HTTP.MaxConnections},
		{"rtmp.max_connections", c.RTMP.MaxConnections},
		{"rtmp.max_connections_per_address", c.RTMP.MaxConnectionsPerAddress},
		{"rtsp.max_connections", c.RTSP.MaxConnections},
		{"rtsp.max_connections_per_address", c.RTSP.MaxConnectionsPerAddress},
		{"ingest_http.max_connections", c.IngestHTTP.MaxConnections},
		{"ingest_http.max_connections_per_address", c.IngestHTTP.MaxConnectionsPerAddress},
	} {
		if n.value < 1 {
			d.bad(n.key, "%d: at least 1 is needed", n.value)
		}
	}
	for _, t := range []struct {
		key   string
		value Duration
	}{
		{"http.idle_timeout", c.HTTP.IdleTimeout}, {"rtmp.idle_timeout", c.RTMP.IdleTimeout}, {"rtsp.idle_timeout", c.RTSP.IdleTimeout},
		{"ingest_http.idle_timeout", c.IngestHTTP.IdleTimeout},
	} {
		if t.value < Duration(time.Second) {
			d.bad(t.key, "%s: at least 1s is needed", t.value)
		}
	}
	if n := c.IngestHTTP.MaxSegment; n < minSegment || n > maxSegment {
		d.bad("ingest_http.max_segment", "%s: %s to %s", n, Size(minSegment), Size(maxSegment))
	}
	if c.RTMP.Coalesce > Duration(200*time.Millisecond) {
		d.bad("rtmp.coalesce", "%s: at most 200ms", c.RTMP.Coalesce)
	}
	if c.Memory != 0 && c.Memory < minMemory {
		d.bad("memory", "%s: at least %s is needed, or 0 for what there is", c.Memory, Size(minMemory))
	}
	if n := c.Metrics.MaxStreams; n < 0 || n > maxSeries {
		d.bad("metrics.max_streams", "%d: 0 to %d", n, maxSeries)
	}
	d.ranges("trusted_proxies", c.TrustedProxies)
	d.hls("hls", c.HLS)
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		d.app("apps."+name, name, c.Apps[name], c.HLS)
	}
	d.webhooks(c.Webhooks)
	d.bucket("storage", c.Storage.Bucket)
	d.packagings(c.Storage.Packagings)
	if c.Storage.Replica != nil {
		d.bucket("storage.replica", *c.Storage.Replica)
		if c.Storage.Replica.URL == "" || c.Storage.Replica.URL == c.Storage.URL && c.Storage.Replica.Endpoint == c.Storage.Endpoint {
			d.bad("storage.replica.url", "%q: a replica needs a bucket of its own", c.Storage.Replica.URL)
		}
	}
	d.spool(c)
	d.cluster(c)
	d.jobs(c)
	d.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	d.oneOf("log.format", c.Log.Format, "text", "json")
}

func (d *decoder) oneOf(key, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		if quoted[i] = a; a == "" {
			quoted[i] = `""`
		}
	}
	d.bad(key, "%q is none of %s", value, strings.Join(quoted, ", "))
}

// listeners checks every address, and that no two want the same port.
func (d *decoder) listeners(c Config) {
	type listener struct{ key, address, network string }
	var seen []listener
	between := c.Cluster.Listen
	if !c.Cluster.On() {
		between = "" // it is not opened
	}
	for _, l := range []listener{
		{"http.listen", c.HTTP.Listen, "tcp"}, {"http.tls.listen", c.HTTP.TLS.Listen, "tcp"}, {"admin.listen", c.Admin.Listen, "tcp"},
		{"rtmp.listen", c.RTMP.Listen, "tcp"}, {"rtmp.tls.listen", c.RTMP.TLS.Listen, "tcp"},
		{"rtsp.listen", c.RTSP.Listen, "tcp"}, {"rtsp.tls.listen", c.RTSP.TLS.Listen, "tcp"},
		{"ingest_http.listen", c.IngestHTTP.Listen, "tcp"}, {"ingest_http.tls.listen", c.IngestHTTP.TLS.Listen, "tcp"},
		{"cluster.listen", between, "tcp"},
		{"rtsp.udp_rtp", c.RTSP.UDPRTP, "udp"}, {"rtsp.udp_rtcp", c.RTSP.UDPRTCP, "udp"},
	} {
		if l.address == "" {
			continue
		}
		if err := checkAddress(l.address); err != nil {
			d.bad(l.key, "%s", err)
			continue
		}
		i := slices.IndexFunc(seen, func(o listener) bool { return o.network == l.network && collide(o.address, l.address) })
		if i >= 0 {
			d.bad(l.key, "%q wants the same port as %s (%q)", l.address, seen[i].key, seen[i].address)
		}
		seen = append(seen, l)
	}
	for _, t := range []struct {
		key string
		tls TLS
	}{{"http.tls", c.HTTP.TLS}, {"rtmp.tls", c.RTMP.TLS}, {"rtsp.tls", c.RTSP.TLS}, {"ingest_http.tls", c.IngestHTTP.TLS}} {
		if t.tls.Listen != "" && (t.tls.Cert == "" || t.tls.Key == "") {
			d.bad(t.key+".listen", "needs %s.cert and %s.key beside it", t.key, t.key)
		}
	}
	d.udp(c.RTSP)
}

func (d *decoder) udp(r RTSP) {
	if (r.UDPRTP == "") != (r.UDPRTCP == "") {
		d.bad("rtsp.udp_rtp", "udp_rtp and udp_rtcp go together: set both, or neither for TCP only")
		return
	}
	if r.UDPRTP == "" || checkAddress(r.UDPRTP) != nil || checkAddress(r.UDPRTCP) != nil {
		return
	}
	if p, q := port(r.UDPRTP), port(r.UDPRTCP); p%2 != 0 || q != p+1 && p != 0 {
		d.bad("rtsp.udp_rtp", "RTP needs an even port and RTCP the next one, not %d and %d", p, q)
	}
}

func checkAddress(s string) error {
	_, p, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(p, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on, such as :5080, 127.0.0.1:5080 or [::1]:5080", s)
	}
	return nil
}

func port(address string) int {
	_, p, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(p)
	return n
}

// collide tells whether two valid addresses cannot be listened on at once. Port 0 is a new port each time.
func collide(a, b string) bool {
	if port(a) != port(b) || port(a) == 0 {
		return false
	}
	hostA, _, _ := net.SplitHostPort(a)
	hostB, _, _ := net.SplitHostPort(b)
	return hostA == hostB || wildcard(hostA) || wildcard(hostB)
}

func wildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// token is a header's name (RFC 9110 5.6.2).
var token9110 = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (d *decoder) http(h HTTP) {
	if h.PublicURL != "" && !isOrigin(h.PublicURL) {
		d.bad("http.public_url", "%q is not scheme://host[:port], without a path", h.PublicURL)
	}
	for i, o := range h.CORSOrigins {
		if o != "*" && !isOrigin(o) {
			d.bad(fmt.Sprintf("http.cors_origins[%d]", i), "%q is neither * nor scheme://host[:port], without a path", o)
		}
	}
	if !token9110.MatchString(h.CDNSecret.Header) {
		d.bad("http.cdn_secret.header", "%q cannot be the name of a header", h.CDNSecret.Header)
	}
	for i, v := range h.CDNSecret.Values {
		if key := fmt.Sprintf("http.cdn_secret.values[%d]", i); v == "" || strings.ContainsFunc(string(v), notPrintable) {
			d.bad(key, "is empty, or not printable ASCII: no header could carry it")
		}
	}
}

func notPrintable(r rune) bool { return r < '!' || r > '~' }

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && s == u.Scheme+"://"+u.Host
}

func (d *decoder) admin(a Admin) {
	u, err := url.Parse(a.HLSJS.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && !(u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/")) {
		d.bad("admin.hls_js.url", "%q is neither a URL with http or https nor a path that begins with /", a.HLSJS.URL)
	}
	if s := a.HLSJS.Integrity; s != "" && !regexp.MustCompile(`^sha(256|384|512)-[A-Za-z0-9+/]+=*$`).MatchString(s) {
		d.bad("admin.hls_js.integrity", "%q is not a hash such as sha384-…", s)
	}
	names, hashes := map[string]int{}, map[string]int{}
	for i, t := range a.Tokens {
		key := fmt.Sprintf("admin.tokens[%d]", i)
		if t.Name == "" || strings.IndexFunc(t.Name, notPrintable) >= 0 {
			d.bad(key+".name", "%q is empty, or not printable ASCII: name who uses the token", t.Name)
		}
		if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(string(t.Hash)) {
			d.bad(key+".hash", "is not sha256: and 64 hexadecimal digits: hlsorigin keys new prints one, with the token that goes with it")
		}
		d.oneOf(key+".scope", t.Scope, "read", "operate")
		if first, twice := names[t.Name]; twice {
			d.bad(key+".name", "is the same as admin.tokens[%d].name: the log could not tell them apart", first)
		}
		if first, twice := hashes[string(t.Hash)]; twice {
			d.bad(key+".hash", "is the same as admin.tokens[%d].hash: give each a token of its own", first)
		}
		names[t.Name], hashes[string(t.Hash)] = i, i
	}
}

func (d *decoder) hls(key string, h HLS) {
	const s = Duration(time.Second)
	if h.SegmentDuration < s || h.SegmentDuration > 30*s {
		d.bad(key+".segment_duration", "%s is outside 1s to 30s", h.SegmentDuration)
		return
	}
	target := Duration(math.Round(h.SegmentDuration.Std().Seconds())) * s
	if h.TargetDuration != 0 {
		switch {
		case h.TargetDuration%s != 0:
			d.bad(key+".target_duration", "%s: playlists have whole seconds here", h.TargetDuration)
		case h.TargetDuration < target:
			d.bad(key+".target_duration", "%s is shorter than segment_duration (%s)", h.TargetDuration, h.SegmentDuration)
		}
		target = h.TargetDuration
	}
	if h.MaxTargetDuration < target || h.MaxTargetDuration%s != 0 {
		d.bad(key+".max_target_duration", "%s: whole seconds are needed, at least %s", h.MaxTargetDuration, target)
	}
	if h.Window < 3*target {
		d.bad(key+".window", "%s is less than three target durations (3 × %s): players could not start", h.Window, target)
	}
	if h.PartDuration < s/10 || h.PartDuration > 2*s {
		d.bad(key+".part_duration", "%s is outside 100ms to 2s", h.PartDuration)
	} else if h.LowLatency && 2*h.PartDuration > h.SegmentDuration {
		d.bad(key+".part_duration", "%s is more than half of segment_duration (%s): a segment would have no parts worth the name", h.PartDuration, h.SegmentDuration)
	}
	if h.TakeoverAfter < s/2 {
		d.bad(key+".takeover_after", "%s: under 500ms any hiccup would look like silence", h.TakeoverAfter)
	}
	if h.ArchiveSplit != 0 && h.ArchiveSplit < 60*s {
		d.bad(key+".archive_split", "%s is less than 1m; 0 never splits", h.ArchiveSplit)
	}
}

func (d *decoder) bucket(key string, b Bucket) {
	if _, err := b.Location(); err != nil {
		d.bad(key+".url", "%s", err)
	}
	if b.Endpoint != "" {
		if !b.Endpoint.web() {
			d.bad(key+".endpoint", "%q is not http://host or https://host", b.Endpoint)
		}
	}
	if (b.AccessKey == "") != (b.SecretKey == "") {
		d.bad(key+".access_key", "access_key and secret_key go together: set both, or neither for the usual AWS chain (roles, SSO, environment, files)")
	}
	if b.Workers < 1 || b.Workers > 256 {
		d.bad(key+".workers", "%d is outside 1 to 256", b.Workers)
	}
	if b.NoProgressTimeout < Duration(time.Second) {
		d.bad(key+".no_progress_timeout", "%s: at least 1s is needed", b.NoProgressTimeout)
	}
	d.oneOf(key+".checksum", b.Checksum, "none", "crc32c", "md5", "crc32")
	d.oneOf(key+".sse", b.SSE, "", "AES256", "aws:kms", "aws:kms:dsse")
	if b.SSEKMSKeyID != "" && !strings.HasPrefix(b.SSE, "aws:kms") {
		d.bad(key+".sse_kms_key_id", "needs sse: aws:kms beside it")
	}
	if len(b.Tags) > 10 {
		d.bad(key+".tags", "%d tags: S3 takes at most 10", len(b.Tags))
	}
}

// packagings checks what recordings are stored as.
func (d *decoder) packagings(list []string) {
	const key = "storage.packagings"
	for i, p := range list {
		d.oneOf(fmt.Sprintf("%s[%d]", key, i), p, PackagingTS, PackagingCMAF)
		if slices.Contains(list[:i], p) {
			d.bad(key, "%q is there twice", p)
		}
	}
	if !slices.Contains(list, PackagingTS) {
		d.bad(key, "%s must be among them: all else is made of it", PackagingTS)
	}
}

func (d *decoder) spool(c Config) {
	if c.Spool.MaxBytes < 16<<20 {
		d.bad("spool.max_bytes", "%s: at least 16MiB is needed", c.Spool.MaxBytes)
	}
	d.oneOf("spool.fsync", c.Spool.Fsync, "never", "segment", "always")
	if l, err := c.Storage.Location(); err == nil && l.Dir != "" && c.Spool.Dir != "" && (within(l.Dir, c.Spool.Dir) || within(c.Spool.Dir, l.Dir)) {
		d.bad("spool.dir", "%q and the bucket %q lie in one another: give each its own directory", c.Spool.Dir, l.Dir)
	}
}

// within tells whether path b is a or lies below it, as far as the names say.
func within(a, b string) bool {
	if filepath.IsAbs(a) != filepath.IsAbs(b) {
		return false
	}
	rel, err := filepath.Rel(a, b)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
