package origin

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
