package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// Help is the usage of the command.
const Help = `hlsorigin ctl asks a running server on this machine. It finds it by admin.listen, and sends the token in HLSORIGIN_TOKEN where there is one.

  hlsorigin ctl streams                      what is on the air
  hlsorigin ctl kick APP/STREAM [REASON]     disconnect the publisher; its encoder shows the reason
  hlsorigin ctl end APP/STREAM [REASON]      end the recording; what comes later is another
  hlsorigin ctl cue APP/STREAM DURATION      begin an ad break with the next segment: 30s
  hlsorigin ctl metadata APP/STREAM [-text DESCRIPTION=VALUE]... [-id3 FILE]
                                             send timed metadata: texts, or a file that is a whole ID3v2.4 tag
  hlsorigin ctl clip APP/STREAM START END NAME
                                             a playlist over part of a recording; nothing is copied. START and END are like
                                             2023-08-24T16:02:52Z, or how long ago: 90s, 5m; or now
  hlsorigin ctl clips [APP[/STREAM]]         those that there are
  hlsorigin ctl unclip [-yes] APP/NAME       remove one; without -yes it only says what would go
  hlsorigin ctl reload                       read the configuration again, and say what counts when
  hlsorigin ctl sync [-timeout 30s]          wait until all that was published is in the bucket
  hlsorigin ctl log-level LEVEL              debug, info, warn, error; until the next reload or start
  hlsorigin ctl retry                        try uploads and webhooks now

All take -config FILE behind the act. What programs ask: docs/api.md.
`

const (
	// DefaultSync is how long sync waits.
	DefaultSync = 30 * time.Second
	patience    = time.Minute // beyond it
	maxAnswer   = 16 << 20    // bytes
	// longPatience is for what the bucket is looked through for; the server gives up before.
	longPatience = 5 * time.Minute
)

// Call is one request to a server.
type Call struct {
	method, path string
	body         any
	key          string // Idempotency-Key; "": none
	timeout      time.Duration
	show         func(out io.Writer, answer []byte) error
}

// Flags are what a command line says besides the act and its arguments.
type Flags struct {
	Timeout time.Duration // of sync
	Yes     bool          // remove what is to be removed
	Now     time.Time     // that "5m ago" counts from
	Text    []string      // of metadata, each as DESCRIPTION=VALUE
	ID3     []byte        // of metadata, in its place; nil: there is none
}

// acts are those that there are, for who asks for another.
const acts = "streams, kick, end, cue, metadata, clip, clips, unclip, reload, sync, log-level, retry"

// Parse parses an act and its arguments. An error means that the command line is invalid.
func Parse(act string, args []string, f Flags) (*Call, error) {
	c := &Call{method: http.MethodPost, timeout: patience}
	least, most := 0, 0
	switch act {
	case "clip":
		least, most, c.timeout = 4, 4, longPatience
		c.path, c.show = "/v1/clips", showClip
	case "cue":
		least, most = 2, 2
	case "clips":
		most, c.timeout = 1, longPatience
		c.method, c.path, c.show = http.MethodGet, "/v1/clips", showClips
	case "unclip":
		least, most, c.timeout = 1, 1, longPatience
		c.method, c.show = http.MethodDelete, showRemoval
	case "streams":
		c.method, c.path, c.show = http.MethodGet, "/v1/streams", showStreams
	case "kick", "end":
		least, most = 1, 2
	case "metadata":
		least, most = 1, 1
	case "reload":
		c.path, c.show = "/v1/reload", showReload
	case "sync":
		c.method, c.path, c.timeout = http.MethodGet, "/v1/sync?timeout="+url.QueryEscape(f.Timeout.String()), f.Timeout+patience
		c.show = saying("all that was published is in the bucket")
	case "log-level":
		least, most = 1, 1
		c.method, c.path, c.show = http.MethodPut, "/v1/log-level", showLevel
	case "retry":
		c.path, c.show = "/v1/uploads/retry", saying("uploads and webhooks that waited are tried now")
	default:
		return nil, fmt.Errorf("ctl: there is no act %q: it is one of %s", act, acts)
	}
	if len(args) < least || len(args) > most {
		return nil, fmt.Errorf("ctl %s: %d arguments were not expected: hlsorigin ctl shows how it is used", act, len(args))
	}
	switch act {
	case "clip":
		return c, c.clip(args, f.Now)
	case "clips":
		if len(args) == 1 {
			app, stream, _ := strings.Cut(args[0], "/")
			c.path += "?" + url.Values{"app": {app}, "stream": {stream}}.Encode()
		}
	case "unclip":
		app, name, ok := strings.Cut(args[0], "/")
		if !ok || app == "" || name == "" {
			return nil, fmt.Errorf("ctl %s: %q is no APP/NAME: hlsorigin ctl clips shows them", act, args[0])
		}
		if c.path = "/v1/clips/" + url.PathEscape(app) + "/" + url.PathEscape(name); f.Yes {
			c.path += "?confirm=true"
		}
	case "log-level":
		c.body = map[string]string{"level": args[0]}
	case "kick", "end", "cue", "metadata":
		app, stream, ok := strings.Cut(args[0], "/")
		if !ok || app == "" || stream == "" {
			return nil, fmt.Errorf("ctl %s: %q is no APP/STREAM: hlsorigin ctl streams shows them", act, args[0])
		}
		c.path = "/v1/streams/" + url.PathEscape(app) + "/" + url.PathEscape(stream)
		if act == "cue" {
			d, err := time.ParseDuration(args[1])
			if err != nil {
				return nil, fmt.Errorf("ctl cue: %q is no duration like 30s", args[1])
			}
			c.path, c.body, c.show = c.path+"/cue", map[string]float64{"duration_seconds": d.Seconds()}, showCue
			return c, nil
		}
		if act == "metadata" {
			return c, c.metadata(f)
		}
		if len(args) == 2 {
			c.body = map[string]string{"reason": args[1]}
		}
		if c.method, c.show = http.MethodDelete, saying(args[0]+" is disconnected"); act == "end" {
			c.method, c.path, c.show = http.MethodPost, c.path+"/end", showEnd
		}
	}
	return c, nil
}

// Reachable returns the address at which a listener is reachable from this machine.
func Reachable(listen string) (address string, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Do sends the request to the server whose admin.listen is listen, and prints its answer. If the server refuses, the error has its words.
func (c *Call) Do(ctx context.Context, out io.Writer, listen string, vars []string) error {
	answer, err := c.ask(ctx, listen, vars)
	if err != nil {
		return err
	}
	return c.show(out, answer)
}

// ask sends the request, and returns the answer where it is one.
func (c *Call) ask(ctx context.Context, listen string, vars []string) ([]byte, error) {
	if listen == "" {
		return nil, errors.New("admin.listen is empty: the server cannot be asked")
	}
	at, err := Reachable(listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body []byte
	if c.body != nil {
		if body, err = json.Marshal(c.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, c.method, "http://"+at+c.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if host, _, _ := net.SplitHostPort(at); net.ParseIP(host) == nil {
		req.Host = "localhost" // a name of this machine that need not be in admin.hosts
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
	}
	for _, v := range vars {
		if name, token, _ := strings.Cut(v, "="); name == configs.TokenVariable && token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy either: the token stays here
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server cannot be asked: %w; does it run, and is this its configuration?", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || res.StatusCode == http.StatusOK {
		return answer, err
	}
	var problem struct{ Detail string }
	_ = json.Unmarshal(answer, &problem) // if it is not a problem document, the status is reported
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s; hlsorigin takes it from the environment variable %s", problem.Detail, configs.TokenVariable)
	case problem.Detail == "":
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	return nil, errors.New(problem.Detail)
}
