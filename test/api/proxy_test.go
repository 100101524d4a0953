package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestBehindLocalProxy stands behind a proxy on the server's own machine, as a page with a login of somebody else's may. Whoever reaches
// the proxy is not this machine: without tokens he may not use the API, where the proxy says for whom it asks. One that says nothing
// cannot be told from this machine; with tokens that does not matter. The name by which the proxy is called has to be known. For
// publishers it is the same, by PROXY headers.
func TestBehindLocalProxy(t *testing.T) {
	token, hash := newToken(t)
	servers := map[string]*rig.Process{}
	for name, yaml := range map[string]string{"": "", "tokens": "admin: {tokens: [{name: page, hash: \"" + hash + "\", scope: read}]}\n", "hosts": "admin: {hosts: [admin.example]}\n", "proxies": "trusted_proxies: [" + rig.Proxy + "]\n"} {
		servers[name] = rig.Serve(t, t.TempDir(), rig.Brisk+yaml)
	}
	publish := func(to string) error {
		c, err := rtmpclient.Dial(t.Context(), "rtmp://"+to+"/live/cam")
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := publish(rig.Tunnel(t, servers[""].RTMP, "")); err != nil {
		t.Errorf("who publishes through a proxy that says nothing is this machine, and was refused: %v", err)
	}
	if err := publish(rig.Tunnel(t, servers["proxies"].RTMP, "PROXY TCP4 203.0.113.9 127.0.0.1 4000 1935\r\n")); err == nil {
		t.Error("who publishes through a proxy that says for whom was let in")
	}
	for name, tc := range map[string]struct {
		settings, token string
		change          func(*httputil.ProxyRequest)
		status          int
	}{
		"for somebody":               {"", "", func(r *httputil.ProxyRequest) { r.SetXForwarded() }, 403},
		"silent":                     {"", "", nil, 200},
		"with tokens, and none":      {"tokens", "", nil, 401},
		"with tokens":                {"tokens", token, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, 200},
		"by its own name":            {"", "", func(r *httputil.ProxyRequest) { r.Out.Host = "admin.example" }, 421},
		"by a name that is known":    {"hosts", "", func(r *httputil.ProxyRequest) { r.Out.Host = "admin.example" }, 200},
		"by one, and for somebody":   {"hosts", "", func(r *httputil.ProxyRequest) { r.Out.Host = "admin.example"; r.SetXForwarded() }, 403},
		"with one header of nginx's": {"", "", func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Real-IP", "203.0.113.9") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := url.Parse("http://" + servers[tc.settings].Admin)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				if tc.change != nil {
					tc.change(r)
				}
			}})
			defer proxy.Close()
			r, err := http.NewRequest("GET", proxy.URL+"/v1/streams", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.token != "" {
				r.Header.Set("Authorization", "Bearer "+tc.token)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			said, _ := io.ReadAll(res.Body)
			if res.StatusCode != tc.status || tc.status == 403 && !strings.Contains(string(said), "admin.tokens") {
				t.Errorf("%d %s, wanted %d", res.StatusCode, said, tc.status)
			}
		})
	}
}
