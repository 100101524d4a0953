package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// only makes a server accept one access key; it refuses others with a status and a code.
func only(key *atomic.Value, status int, code string) storetest.Trouble {
	return storetest.Trouble{Status: status, Code: code, Match: func(r *http.Request) bool {
		return !strings.Contains(r.Header.Get("Authorization"), "Credential="+key.Load().(string)+"/")
	}}
}

func writeCredentials(t *testing.T, file, key string) {
	t.Helper()
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = secret\naws_session_token = token\n", key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A credentials file that was rotated is read again when the store refuses the old ones, and nobody notices.
func TestRotatedCredentials(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	for _, refused := range []struct {
		status int
		code   string
	}{{400, "ExpiredToken"}, {400, "InvalidToken"}, {403, "InvalidAccessKeyId"}, {403, "SignatureDoesNotMatch"}, {400, "TokenRefreshRequired"}, {403, "AccessDenied"}} {
		t.Run(refused.code, func(t *testing.T) {
			p := storetest.NewProxy(t, srv.Endpoint)
			o := options(t, srv)
			o.Endpoint, o.AccessKey, o.SecretKey = p.URL, "", ""
			now := time.Now()
			o.Now = func() time.Time { return now }
			file := t.TempDir() + "/credentials"
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
				t.Setenv(name, "")
			}
			writeCredentials(t, file, "KEY0")
			var known atomic.Value
			known.Store("KEY0")
			p.Set(only(&known, refused.status, refused.code))
			s := open(t, o)
			acts := []func() error{
				func() error {
					return failure(s.Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{IfAbsent: true}))
				},
				func() error {
					r, _, err := s.Get(t.Context(), "a", 0, -1)
					if err == nil {
						r.Close()
					}
					return err
				},
				func() error { _, err := s.Stat(t.Context(), "a"); return err },
				func() error { return s.List(t.Context(), "", func(storage.Object) error { return nil }) },
				func() error { return s.Remove(t.Context(), "a") },
				func() error { return s.Remove(t.Context(), "a", "b") },
			}
			for i, act := range acts {
				if err := act(); err != nil {
					t.Fatalf("act %d with the old key: %v", i, err)
				}
				key := fmt.Sprint("KEY", i+1)
				writeCredentials(t, file, key)
				known.Store(key)
				now = now.Add(2 * time.Minute)
				if err := act(); err != nil {
					t.Errorf("act %d with a new key: %v", i, err)
				}
			}
			// If there are no new ones, the store is asked once, and the file is not read for each request.
			known.Store("another")
			before, _ := p.Counts()
			for range 5 {
				if err := acts[3](); !errors.Is(err, storage.ErrPermanent) {
					t.Errorf("refused: %v", err)
				}
			}
			if after, _ := p.Counts(); after-before != 5 {
				t.Errorf("%d requests for 5 refusals", after-before)
			}
		})
	}
}

// provider returns one set of credentials after another.
type provider struct {
	sets []aws.Credentials
	err  error
	n    int
}

func (p *provider) Retrieve(context.Context) (aws.Credentials, error) {
	if p.n++; p.err != nil {
		return aws.Credentials{}, p.err
	}
	return p.sets[min(p.n, len(p.sets))-1], nil
}

// Credentials are read again before they expire; if that fails, those that have not expired stay in use.
func TestCredentialsThatEnd(t *testing.T) {
	begin := time.Now()
	set := func(key string, lasts time.Duration) aws.Credentials {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: "s", CanExpire: true, Expires: begin.Add(lasts)}
	}
	ring := func(p *provider) *keyring {
		return newKeyring(func(context.Context) (aws.CredentialsProvider, error) { return p, nil }, func() time.Time { return begin })
	}
	for _, c := range []struct {
		name        string
		first       time.Duration
		err         error
		want        string
		read        int
		wantFailure bool
	}{
		{name: "long", first: time.Hour, want: "first", read: 1},
		{name: "about to end", first: 4 * time.Minute, want: "first", read: 1}, // half of it is left
		{name: "over", first: -time.Second, want: "second", read: 2},
	} {
		p := &provider{sets: []aws.Credentials{set("first", c.first), set("second", time.Hour)}}
		k := ring(p)
		_, _ = k.Retrieve(t.Context())
		got, err := k.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != c.want || p.n != c.read {
			t.Errorf("%s: %s after %d readings, %v", c.name, got.AccessKeyID, p.n, err)
		}
	}
	// The store refuses credentials that have not expired, and no new ones can be read.
	p := &provider{sets: []aws.Credentials{set("first", time.Hour)}}
	k := ring(p)
	if _, err := k.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.err = errors.New("the service that gives them is away")
	if k.renew(t.Context(), 0, renewPause) {
		t.Error("renewed by nothing")
	}
	if got, err := k.Retrieve(t.Context()); err != nil || got.AccessKeyID != "first" {
		t.Errorf("%s, %v", got.AccessKeyID, err)
	}
	if p.n != 2 {
		t.Errorf("asked %d times within a moment", p.n)
	}
	// Expired credentials are no longer used.
	k = ring(&provider{err: p.err})
	var marked *credentialsError
	if _, err := k.Retrieve(t.Context()); !errors.As(err, &marked) {
		t.Errorf("%v", err)
	}
}

// A wrong clock is corrected by the store's, at once.
func TestWrongClock(t *testing.T) {
	srv := storetest.GoFakeS3(t)
	p := storetest.NewProxy(t, srv.Endpoint)
	o := options(t, srv)
	o.Endpoint = p.URL
	s := open(t, o)
	storeTime := time.Now().Add(time.Hour)
	skewed := func(r *http.Request) bool {
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		return err != nil || at.Sub(storeTime).Abs() > 15*time.Minute
	}
	date := map[string]string{"Date": storeTime.UTC().Format(http.TimeFormat)}
	p.Set(storetest.Trouble{Match: skewed, Status: 403, Code: "RequestTimeTooSkewed", Header: date}, storetest.Trouble{
		Header: date, Request: func(r *http.Request) { r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z")) }, // the server has the true time
	})
	if _, err := s.Put(t.Context(), "a", strings.NewReader("body"), storage.Attributes{}); err != nil {
		t.Error(err)
	}
	if requests, _ := p.Counts(); requests != 2 {
		t.Errorf("%d requests", requests)
	}
	if at, err := s.Time(t.Context()); err != nil || at.Sub(storeTime).Abs() > 2*time.Second {
		t.Errorf("the store's time is %v, not %v: %v", at, storeTime, err)
	}
	if requests, _ := p.Counts(); requests != 3 {
		t.Errorf("%d requests: the clock was not kept in mind", requests)
	}
}
