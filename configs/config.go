// Package configs is the server's configuration: its keys, their defaults and what each may hold, read from YAML and from
// the environment. It reports every mistake of a file at once, with line, key and what would be right. It starts nothing,
// looks at no network, and refuses to ignore what it does not know.
package configs

import (
	_ "embed"
	"reflect"
)

//go:embed default.yaml
var defaultYAML string

// DefaultYAML is the commented file that holds every default, for people to start from.
func DefaultYAML() string { return defaultYAML }

// Config is everything an operator can set. The yaml tags are the names in the file; joined by underscores, in capitals
// and behind HLSORIGIN_ they are the names in the environment.
type Config struct {
	HTTP  HTTP  `yaml:"http"`
	Admin Admin `yaml:"admin"`
	RTMP  RTMP  `yaml:"rtmp"`
	RTSP  RTSP  `yaml:"rtsp"`

	IngestHTTP IngestHTTP `yaml:"ingest_http"`

	HLS  HLS            `yaml:"hls"`
	Apps map[string]App `yaml:"apps"`

	Memory Size `yaml:"memory"` // that the server may use; 0: what its cgroup allows, or three quarters of the machine

	TrustedProxies []string `yaml:"trusted_proxies"` // addresses and ranges whose connections begin with a PROXY header

	Webhooks []Webhook `yaml:"webhooks"`

	Metrics Metrics `yaml:"metrics"`

	Storage  Storage  `yaml:"storage"`
	Spool    Spool    `yaml:"spool"`
	Cluster  Cluster  `yaml:"cluster"`
	Jobs     Jobs     `yaml:"jobs"`
	Shutdown Shutdown `yaml:"shutdown"`
	Log      Log      `yaml:"log"`
}

// TLS is an encrypted listener beside a plain one. An empty Listen switches it off.
type TLS struct {
	Listen string `yaml:"listen"`
	Cert   string `yaml:"cert"` // file, PEM, leaf first
	Key    string `yaml:"key"`  // file, PEM
}

// HTTP is the public origin.
type HTTP struct {
	Listen         string    `yaml:"listen"`
	PublicURL      string    `yaml:"public_url"` // scheme://host[:port] as viewers see it; "" derives it from a request
	TLS            TLS       `yaml:"tls"`
	CORSOrigins    []string  `yaml:"cors_origins"` // empty: everybody, as "*"
	CDNSecret      CDNSecret `yaml:"cdn_secret"`
	IdleTimeout    Duration  `yaml:"idle_timeout"`
	MaxConnections int       `yaml:"max_connections"`
	DrainTimeout   Duration  `yaml:"drain_timeout"`
	FailOnStale    bool      `yaml:"fail_on_stale"`
}

// CDNSecret is the header by which a CDN proves itself. Without values, everybody may ask.
type CDNSecret struct {
	Header string   `yaml:"header"`
	Values []Secret `yaml:"values"`
}

// Admin is the operators' listener.
type Admin struct {
	Listen string   `yaml:"listen"`
	Hosts  []string `yaml:"hosts"` // names it answers to, beside localhost and IP addresses
	Pprof  bool     `yaml:"pprof"`
	HLSJS  HLSJS    `yaml:"hls_js"`
	Tokens []Token  `yaml:"tokens"` // of those who may use the API; empty: this machine alone, without one
}

// Token lets somebody use the API.
type Token struct {
	Name  string `yaml:"name"`  // for the log
	Hash  Secret `yaml:"hash"`  // as `hlsorigin keys new` prints it
	Scope string `yaml:"scope"` // read, or operate, which may change things
}

// HLSJS is where the player page finds hls.js.
type HLSJS struct {
	URL       string `yaml:"url"`
	Integrity string `yaml:"integrity"` // subresource integrity, "sha384-…"; "" leaves it unchecked
}

// RTMP is the RTMP ingest.
type RTMP struct {
	Listen                   string   `yaml:"listen"`
	TLS                      TLS      `yaml:"tls"`
	MaxConnections           int      `yaml:"max_connections"`
	MaxConnectionsPerAddress int      `yaml:"max_connections_per_address"`
	IdleTimeout              Duration `yaml:"idle_timeout"`
	Coalesce                 Duration `yaml:"coalesce"` // 0: each read as soon as there is a byte
}

// RTSP is the RTSP ingest. UDPRTP is an even port and UDPRTCP the next one; both empty: TCP only.
type RTSP struct {
	Listen                   string   `yaml:"listen"`
	UDPRTP                   string   `yaml:"udp_rtp"`
	UDPRTCP                  string   `yaml:"udp_rtcp"`
	TLS                      TLS      `yaml:"tls"`
	MaxConnections           int      `yaml:"max_connections"`
	MaxConnectionsPerAddress int      `yaml:"max_connections_per_address"`
	IdleTimeout              Duration `yaml:"idle_timeout"`
}

// IngestHTTP is the HTTP ingest: HLS that encoders send by PUT or POST. It is off where neither listener has an address.
type IngestHTTP struct {
	Listen                   string   `yaml:"listen"`
	TLS                      TLS      `yaml:"tls"`
	MaxConnections           int      `yaml:"max_connections"`
	MaxConnectionsPerAddress int      `yaml:"max_connections_per_address"`
	IdleTimeout              Duration `yaml:"idle_timeout"`
	MaxSegment               Size     `yaml:"max_segment"`
}

// HLS is how recordings are cut and how long they live.
type HLS struct {
	SegmentDuration   Duration `yaml:"segment_duration"`
	Window            Duration `yaml:"window"`
	TargetDuration    Duration `yaml:"target_duration"` // 0: learned from the encoder before the first playlist
	MaxTargetDuration Duration `yaml:"max_target_duration"`
	ReconnectGrace    Duration `yaml:"reconnect_grace"`
	EndGrace          Duration `yaml:"end_grace"`
	RestartGrace      Duration `yaml:"restart_grace"`
	EndedTTL          Duration `yaml:"ended_ttl"`
	TakeoverAfter     Duration `yaml:"takeover_after"`
	PDTMaxDrift       Duration `yaml:"pdt_max_drift"`
	LowLatency        bool     `yaml:"low_latency"`
	PartDuration      Duration `yaml:"part_duration"`
	Deterministic     bool     `yaml:"deterministic"` // segments are a function of what is published: redundant pairs
	CMAF              bool     `yaml:"cmaf"`          // recordings are served as CMAF and DASH as well
	ArchiveSplit      Duration `yaml:"archive_split"` // 0: never
	Memory            Size     `yaml:"memory"`        // 0: a share of Config.Memory
}

// AppHLS holds an app's own values for keys of HLS; nil inherits. What concerns disk, bucket or memory is one for all.
type AppHLS struct {
	SegmentDuration   *Duration `yaml:"segment_duration"`
	Window            *Duration `yaml:"window"`
	TargetDuration    *Duration `yaml:"target_duration"`
	MaxTargetDuration *Duration `yaml:"max_target_duration"`
	ReconnectGrace    *Duration `yaml:"reconnect_grace"`
	EndGrace          *Duration `yaml:"end_grace"`
	RestartGrace      *Duration `yaml:"restart_grace"`
	EndedTTL          *Duration `yaml:"ended_ttl"`
	TakeoverAfter     *Duration `yaml:"takeover_after"`
	PDTMaxDrift       *Duration `yaml:"pdt_max_drift"`
	LowLatency        *bool     `yaml:"low_latency"`
	PartDuration      *Duration `yaml:"part_duration"`
	Deterministic     *bool     `yaml:"deterministic"`
	CMAF              *bool     `yaml:"cmaf"`
}

// Over is base with the app's own values in place.
func (a AppHLS) Over(base HLS) HLS {
	own, out := reflect.ValueOf(a), reflect.ValueOf(&base).Elem()
	for i := range own.NumField() {
		if f := own.Field(i); !f.IsNil() {
			out.FieldByName(own.Type().Field(i).Name).Set(f.Elem())
		}
	}
	return base
}

// PublishOpen is the value of App.Publish that lets anybody publish.
const PublishOpen = "open"

// App is one application: the first element of the publish URL and of the viewers' path.
type App struct {
	Keys    map[string]Secret   `yaml:"keys"`    // public stream name → secret stream key
	Publish string              `yaml:"publish"` // "": who has a key, or loopback where there are none; PublishOpen: anybody
	Auth    Auth                `yaml:"auth"`
	HLS     AppHLS              `yaml:"hls"`
	Groups  map[string][]string `yaml:"groups"` // public name of a ladder → the streams that are its rungs, best first
	Audio   bool                `yaml:"audio"`  // groups get an audio-only variant
	Ladder  []Rung              `yaml:"ladder"` // rungs that an external ffmpeg makes of each stream
	Keep    Duration            `yaml:"keep"`   // 0: recordings are never removed

	SessionData map[string]string `yaml:"session_data"` // DATA-ID → VALUE of EXT-X-SESSION-DATA in multivariant playlists
}

// Auth is who may publish to an app, beside those who have a key.
type Auth struct {
	JWT      JWT      `yaml:"jwt"`
	Callback Callback `yaml:"callback"`
	Allow    []string `yaml:"allow"` // addresses and ranges that may publish; empty: all
}

// JWT is how signed tokens are checked. Without secret and jwks none are taken.
type JWT struct {
	Secret     Secret   `yaml:"secret"`     // of HS256
	JWKS       URL      `yaml:"jwks"`       // where the public keys of the others are
	Algorithms []string `yaml:"algorithms"` // that are taken; empty: those that secret and jwks are for
}

// Callback is a back end that is asked whether somebody may publish. An empty URL is none.
type Callback struct {
	URL     URL      `yaml:"url"`
	Timeout Duration `yaml:"timeout"`
	Cache   Duration `yaml:"cache"` // how long an answer is good for; 0: not at all
}

// Rung is one rendition of a ladder.
type Rung struct {
	Name    string  `yaml:"name"`
	Height  int     `yaml:"height"`  // pixels
	Bitrate Bitrate `yaml:"bitrate"` // of the video
}

// Webhook is somebody who is told what happens. Each has a Keep of its own: webhooks is a list, and a list has no key beside
// its entries.
type Webhook struct {
	URL    URL      `yaml:"url"`
	Secret Secret   `yaml:"secret"` // whsec_…, of the signature
	Events []string `yaml:"events"` // types, or groups such as stream.*; empty: all but segment.uploaded
	Format string   `yaml:"format"`
	Keep   Duration `yaml:"keep"` // an event that is not taken is given up after so long
}

// Metrics is what Prometheus is shown.
type Metrics struct {
	MaxStreams int `yaml:"max_streams"` // that have series of their own; all others of an app are shown together
}

// Storage is the bucket, and optionally a second one that gets everything too.
type Storage struct {
	Bucket     `yaml:",inline"`
	Packagings []string `yaml:"packagings"` // PackagingTS, and PackagingCMAF where that is stored, too
	Replica    *Bucket  `yaml:"replica"`
}

// What a recording is stored as.
const (
	PackagingTS   = "ts"
	PackagingCMAF = "cmaf"
)

// Bucket is an object store. An empty URL is no store at all.
type Bucket struct {
	URL               string            `yaml:"url"` // file://dir or s3://bucket/prefix; see Location
	Endpoint          URL               `yaml:"endpoint"`
	Region            string            `yaml:"region"`
	PathStyle         bool              `yaml:"path_style"`
	AccessKey         Secret            `yaml:"access_key"`
	SecretKey         Secret            `yaml:"secret_key"`
	Workers           int               `yaml:"workers"`
	Checksum          string            `yaml:"checksum"`
	StorageClass      string            `yaml:"storage_class"`
	ACL               string            `yaml:"acl"`
	SSE               string            `yaml:"sse"`
	SSEKMSKeyID       string            `yaml:"sse_kms_key_id"`
	Tags              map[string]string `yaml:"tags"`
	NoProgressTimeout Duration          `yaml:"no_progress_timeout"`
}

// Spool is the local disk between the timeline and the bucket.
type Spool struct {
	Dir      string `yaml:"dir"` // empty: no disk, segments go from memory to the bucket
	MaxBytes Size   `yaml:"max_bytes"`
	Fsync    string `yaml:"fsync"`
	Memory   Size   `yaml:"memory"` // of segments that the disk does not take; 0: a share of Config.Memory
}

// Cluster makes this server one of several that share a bucket. It is on where Secret is set.
type Cluster struct {
	Node      string   `yaml:"node"`       // this server's name; "": one that it keeps in its spool
	Address   string   `yaml:"address"`    // http://host:port at which the others reach Listen
	Listen    string   `yaml:"listen"`     // for the others; not opened without Secret
	Secret    Secret   `yaml:"secret"`     // the same on all of them
	LiveFirst bool     `yaml:"live_first"` // a segment is listed before the bucket has it
	Drain     Duration `yaml:"drain"`      // how long publishers are kept when the server is drained or gets SIGTERM
}

// On reports whether the server belongs to a cluster.
func (c Cluster) On() bool { return c.Secret != "" }

// Jobs are packages that are made of files.
type Jobs struct {
	Workers       int      `yaml:"workers"`        // jobs at once on this server; 0: none, others may take them
	OnlyRunner    bool     `yaml:"only_runner"`    // no other server runs jobs in the bucket: needed where that does not keep to conditional writes
	Output        string   `yaml:"output"`         // the folder of the bucket for jobs that say none
	Watch         []string `yaml:"watch"`          // s3://bucket/prefix/ or file:///directory/: each new file below becomes a job
	Queues        []URL    `yaml:"queues"`         // of SQS, with the bucket's notifications of new objects
	Inputs        []string `yaml:"inputs"`         // what jobs may read besides the bucket, as Watch
	Outputs       []string `yaml:"outputs"`        // s3://bucket/prefix/ where jobs may write besides the bucket
	Ladder        []Rung   `yaml:"ladder"`         // for jobs that say none; empty: by the source
	Keep          Duration `yaml:"keep"`           // jobs that are over are forgotten after this
	WebhookSecret Secret   `yaml:"webhook_secret"` // whsec_…; "": jobs may not name a webhook
	WebhookHosts  []string `yaml:"webhook_hosts"`  // host or host:port that jobs' webhooks may be at; empty: any public address
}

// Shutdown is how SIGTERM ends the server.
type Shutdown struct {
	Hold    bool     `yaml:"hold"`
	Timeout Duration `yaml:"timeout"`
}

// Log is the server's own log.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}
