package rtmp

import (
	"net/url"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// maxName is the longest stream name with its query, in bytes: a token signed with RSA takes some 800.
const maxName = 4096

// parseTarget reads what an encoder made of its URL, rtmp://HOST/APP/STREAM?key=SECRET. Encoders split it at different places: the query
// may be part of the name, the app or tcUrl, and is looked for in this order.
func parseTarget(app, tcURL, name string) (ingest.Request, error) {
	if len(app)+len(name) > maxName {
		return ingest.Request{}, ingest.Refuse(ingest.BadName, "the stream name is too long")
	}
	app, appQuery, _ := strings.Cut(app, "?")
	name, nameQuery, _ := strings.Cut(name, "?")
	_, urlQuery, _ := strings.Cut(tcURL, "?")
	app, name = strings.Trim(app, "/"), strings.Trim(name, "/")
	if strings.Contains(app, "/") {
		return ingest.Request{}, ingest.Refuse(ingest.BadName,
			"the URL has one part too many: use rtmp://HOST/APP and put the stream's name into the stream key, or rtmp://HOST/APP/STREAM")
	}
	r := ingest.Request{App: app, Name: name}
	for _, q := range []string{nameQuery, appQuery, urlQuery} {
		if r.Query == "" {
			r.Query = q
		}
	}
	for _, q := range []string{nameQuery, appQuery, urlQuery} {
		v, _ := url.ParseQuery(q) // as far as it is readable
		r.Backup = r.Backup || v.Get("backup") == "1"
		if r.User == "" {
			r.User = v.Get("user")
		}
		for _, k := range []string{"key", "pass", "password"} {
			if r.Password == "" {
				r.Password = v.Get(k)
			}
		}
		for _, k := range []string{"token", "jwt"} {
			if r.Token == "" {
				r.Token = v.Get(k)
			}
		}
	}
	return r, nil
}
