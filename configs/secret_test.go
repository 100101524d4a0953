package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsAreNeverShown(t *testing.T) {
	c, err := Parse([]byte("apps: {live: {keys: {cam: hunter2}}}\nstorage: {access_key: hunter2, secret_key: hunter2}\nhttp: {cdn_secret: {values: [hunter2]}}"), "f", nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Apps["live"].Keys["cam"]) != "hunter2" {
		t.Fatal("the secret is not there")
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", c.Storage.SecretKey, "all", c.Apps, "values", c.HTTP.CDNSecret)
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"String": c.String(), "%v": fmt.Sprintf("%v %+v", c.Apps, c.Storage.Bucket), "%#v": fmt.Sprintf("%#v", c.Apps), "slog": log.String(), "json": string(j),
		"%q": fmt.Sprintf("%q %s", c.Storage.SecretKey, c.Storage.SecretKey),
	} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("%s shows a secret: %s", name, s)
		}
	}
	if !strings.Contains(c.String(), `secret_key: "(secret)"`) || !strings.Contains(c.String(), `cam: "(secret)"`) {
		t.Errorf("the print does not say that there is a secret:\n%s", c)
	}
}

func TestMistakesDoNotShowSecrets(t *testing.T) {
	for _, src := range []string{
		"apps: {live: {keys: {a: hunter2, b: hunter2}}}", "apps: {live: {keys: {a: \"hunter2?\"}}}", "storage: {secret_key: \"hunter2${\"}",
		"http: {cdn_secret: {values: [\"hunter2 hunter2\"]}}",
	} {
		if _, err := Parse([]byte(src), "f", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestExpand(t *testing.T) {
	vars := environment{all: map[string]string{"A": "x", "B": ""}}
	for in, want := range map[string]Secret{"": "", "plain": "plain", "${A}": "x", "1${A}2${A}3": "1x2x3", "${B}": "", "$A $ $$": "$A $ $$"} {
		if got, err := expand(in, vars.lookup); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, string(got), err)
		}
	}
}
