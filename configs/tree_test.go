package configs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTreeHidesSecrets(t *testing.T) {
	c := Default()
	const secret = "do-not-show-this"
	c.Storage.SecretKey, c.Storage.URL = secret, "s3://bucket/prefix"
	c.HTTP.CDNSecret.Values = []Secret{secret}
	c.Apps = map[string]App{"live": {Keys: map[string]Secret{"cam": secret}}}
	c.Webhooks = []Webhook{{URL: "https://user:" + secret + "@example.com/hook?token=" + secret, Secret: secret}}
	c.Admin.Tokens = []Token{{Name: "ci", Hash: secret, Scope: "read"}}
	b, err := json.Marshal(c.Tree())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), secret) {
		t.Errorf("a secret is shown: %s", b)
	}
	for _, want := range []string{`"listen":":5080"`, `"segment_duration":"4s"`, `"keys":{"cam":"(secret)"}`, `"name":"ci"`, `"max_connections":1000`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}
