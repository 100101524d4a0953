package origin

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// Rules are the options that may change while viewers are served. Zero values mean the same as in Options.
type Rules struct {
	CORSOrigins    []string
	Secrets        []string // the values of Options.Secret, whose header stays
	FailOnStale    bool
	NoCMAF         []string // apps that are not served as CMAF and DASH
	MaxConnections int      // lowering it ends no connection

	CertFile, KeyFile string // of Options.TLS; new connections see a new one within seconds. Empty: those in force stay
}

// rules are prepared Rules.
type rules struct {
	cors        cors
	guard       *guard
	failOnStale bool
	noCMAF      map[string]bool

	certFile, keyFile string
}

// Reconfigure changes the rules for all requests read from now on. It is safe for concurrent use.
func (o *Origin) Reconfigure(r Rules) {
	if r.MaxConnections == 0 {
		r.MaxConnections = defaultMaxConnections
	}
	if was := o.rules.Load(); r.CertFile == "" && was != nil {
		r.CertFile, r.KeyFile = was.certFile, was.keyFile
	} else if r.CertFile == "" && o.opts.TLS != nil {
		r.CertFile, r.KeyFile = o.opts.TLS.CertFile, o.opts.TLS.KeyFile
	}
	off := make(map[string]bool, len(r.NoCMAF))
	for _, app := range r.NoCMAF {
		off[app] = true
	}
	secret := o.opts.Secret
	secret.Values = r.Secrets
	o.rules.Store(&rules{cors: newCORS(r.CORSOrigins), guard: newGuard(secret), failOnStale: r.FailOnStale, noCMAF: off, certFile: r.CertFile, keyFile: r.KeyFile})
	o.http.SetMaxConnections(r.MaxConnections)
}

func (o *Origin) cors() cors { return o.rules.Load().cors }

func (o *Origin) guard() *guard { return o.rules.Load().guard }

// cors decides which pages may read an answer. Without a list every page may; the fields are then the same with and without an Origin in
// the request, so that a cache never mixes two copies.
type cors struct{ allowed map[string]bool }

func newCORS(origins []string) cors {
	if len(origins) == 0 {
		return cors{}
	}
	c := cors{allowed: make(map[string]bool, len(origins))}
	for _, o := range origins {
		if o == "*" {
			return cors{}
		}
		c.allowed[strings.ToLower(strings.TrimSuffix(o, "/"))] = true
	}
	return c
}

const exposed = "Content-Length, Content-Range, Date, Age, ETag"

// apply adds the fields to any answer, including errors: otherwise a player cannot even read the status.
func (c cors) apply(req *http1.Request, res *http1.Response) {
	who := "*"
	if c.allowed != nil {
		if !c.allows(req.Origin) {
			return
		}
		who = req.Origin
	}
	res.Add("Access-Control-Allow-Origin", who)
	res.Add("Access-Control-Expose-Headers", exposed)
	res.Add("Timing-Allow-Origin", who)
}

func (c cors) allows(origin string) bool {
	return origin != "" && (c.allowed[origin] || c.allowed[strings.ToLower(origin)])
}

// vary returns the Vary value of an answer that may depend on Accept-Encoding; "" for none.
func (c cors) vary(encoding bool) string {
	switch {
	case c.allowed == nil && encoding:
		return "Accept-Encoding"
	case c.allowed == nil:
		return ""
	case encoding:
		return "Accept-Encoding, Origin"
	}
	return "Origin"
}

// preflight answers OPTIONS. Browsers keep the answer for a day at most.
func (c cors) preflight(req *http1.Request, res *http1.Response) {
	res.Status = 204
	res.Add("Cache-Control", "public, max-age=86400")
	res.Add("Allow", allowedMethods)
	if c.allowed == nil || c.allows(req.Origin) {
		res.Add("Access-Control-Allow-Methods", allowedMethods)
		res.Add("Access-Control-Allow-Headers", "Range, If-Range, If-None-Match, If-Modified-Since, Cache-Control, *")
		res.Add("Access-Control-Max-Age", "86400")
	}
}
