package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func member(t *testing.T, name, secret string) string {
	at := rig.FreeAddress(t)
	return fmt.Sprintf("cluster: {node: %s, address: \"http://%s\", listen: %q, secret: %s, drain: 1s}\n", name, at, at, secret)
}

const ourSecret = "aclustersecretoftests"

// A store that does not keep to a condition is refused for a cluster, with what it does not keep to; so are servers in common use that keep to
// none.
func TestStoresWithoutConditions(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"If-None-Match", "If-Match"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			at := storetest.GoFakeS3(t)
			to, err := url.Parse(at.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			deaf := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(to)
				p.Out.Host = p.In.Host
				if p.In.Method == http.MethodPut {
					p.Out.Header.Del(header)
				}
			}})
			t.Cleanup(deaf.Close)
			v := rig.VaultOn(t, at)
			v.Way = deaf.URL
			if said := rig.NotStarted(t, rig.Brisk+v.YAML()+member(t, "a", ourSecret)); !strings.Contains(said, "it does not keep to conditional writes") || !strings.Contains(said, header) {
				t.Errorf("%s", said)
			}
		})
	}
	for _, p := range storetest.Programs() {
		if p.Lacks["if match"] == "" {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			v := rig.VaultOn(t, p.Start(t, t.TempDir(), ""))
			if said := rig.NotStarted(t, rig.Brisk+v.YAML()+member(t, "a", ourSecret)); !strings.Contains(said, "it does not keep to conditional writes") {
				t.Errorf("%s", said)
			}
		})
	}
}

// Servers that disagree: one with another's name is not started; one with another secret can neither be asked nor asks, so that an encoder of a
// stream that runs is refused by it, and told why; a claim that is damaged, or of a later version, keeps nobody from publishing.
func TestServersThatDisagree(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.VaultOn(t, storetest.GoFakeS3(t))
	all := serve(t, 2, v.YAML())
	first := rig.Shoot(t, all[0].Process, "cam")
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket", func() bool { return v.Has(rig.EntryKey("cam")) })
	if said := rig.NotStarted(t, rig.Brisk+v.YAML()+member(t, "b", ourSecret)); !strings.Contains(said, "b, too, answers at") {
		t.Errorf("a second server of one name: %s", said)
	}
	stranger := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML()+member(t, "c", "asecretthatnobodyelsehas"))
	c := rig.Shoot(t, stranger, "cam")
	rig.Eventually(t, 60*time.Second, "who publishes a stream of the others to it is sent there", func() bool { return told(c, "server a ") })
	c.Stop()
	rig.Eventually(t, 60*time.Second, "the one with the stream says that somebody has another secret", func() bool {
		return strings.Contains(all[0].Log.String(), "without the cluster's secret are refused")
	})
	if n := len(fed(all, "cam")); n != 1 {
		t.Errorf("%d servers have the stream", n)
	}
	first.Stop()
	for name, body := range map[string]string{
		"damaged":            "\x00\x01",
		"empty":              "",
		"of a later version": `{"version":99,"epoch":7,"node":"z","address":"http://127.0.0.1:1","recording":"2026-01-01_00-00-00.000","state":"live","quorum":[1,2]}`,
	} {
		stream := "cam" + name[:2]
		if _, err := v.Store.Put(t.Context(), claim.Key("live", stream), strings.NewReader(body), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		x := rig.Shoot(t, all[1].Process, stream)
		rig.Eventually(t, 60*time.Second, "it is published where its claim is "+name, func() bool { return v.Has(rig.EntryKey(stream)) })
		rig.Eventually(t, 60*time.Second, "the claim is the server's own then", func() bool {
			got, _, err := claim.Read(t.Context(), v.Store, claim.Key("live", stream))
			return err == nil && got.Node == "b" && got.State == claim.Live
		})
		x.Stop()
	}
}
