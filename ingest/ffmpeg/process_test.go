package ffmpeg

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	var in strings.Builder
	for range 1000 {
		in.WriteString("noise\n\n")
	}
	in.WriteString(strings.Repeat("x", 100_000) + "\xff\nlast words")
	got := Tail(strings.NewReader(in.String()))
	if len(got) != tailLines || got[tailLines-1] != "last words" || len(got[tailLines-2]) != tailWidth {
		t.Errorf("kept: %q", got)
	}
}

func TestEnvironmentHasNoSecrets(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if env := strings.Join(environ(nil), "\n"); strings.Contains(env, "secret") || !strings.Contains(env, "PATH=") {
		t.Errorf("the process sees %q", env)
	}
}

// script runs a shell script as a process would be.
func script(text string) Spec { return Spec{Command: "sh", Args: []string{"-c", text}} }

func TestRunReadsEachPipeToItsEnd(t *testing.T) {
	var got [2]string
	read := func(i int) func(io.Reader) error {
		return func(r io.Reader) error {
			b, err := io.ReadAll(r)
			got[i] = string(b)
			return err
		}
	}
	var out string
	_, err := Run(t.Context(), Job{
		Spec:    script("echo one >&3; echo two >&4; echo three"),
		Readers: []func(io.Reader) error{read(0), read(1)},
		Stdout: func(r io.Reader) error {
			b, err := io.ReadAll(r)
			out = string(b)
			return err
		},
	})
	if err != nil || got != [2]string{"one\n", "two\n"} || out != "three\n" {
		t.Errorf("%v: %q %q", err, got, out)
	}
}

func TestRunSaysHowAProcessEnded(t *testing.T) {
	drain := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	reader := errors.New("the reader has had enough")
	for name, c := range map[string]struct {
		script string
		reader func(io.Reader) error
		want   error
		says   string
	}{
		"an error":    {"echo it is broken >&2; exit 3", drain, ErrEnded, "exit status 3"},
		"killed":      {"kill -9 $$", drain, ErrEnded, "killed"},
		"silence":     {"exec sleep 1000", drain, ErrStalled, "killed"},
		"of a reader": {"echo x >&3; exec sleep 1000", func(io.Reader) error { return reader }, reader, "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), Job{Spec: script(c.script), Readers: []func(io.Reader) error{c.reader}, Stall: 400 * time.Millisecond})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.says)
			}
		})
	}
	var f *Failure
	if _, err := Run(t.Context(), Job{Spec: Spec{Command: "/no/such/program"}}); !errors.As(err, &f) || f.State != "" {
		t.Errorf("got %v for a program that is not there", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Job{Spec: script("echo x >&3; exec sleep 1000"), Readers: []func(io.Reader) error{func(r io.Reader) error {
		cancel()
		_, err := io.Copy(io.Discard, r)
		return err
	}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A reader that is slow, as a store may be, is no standstill of the process.
func TestRunWaitsForSlowReaders(t *testing.T) {
	_, err := Run(t.Context(), Job{Spec: script("head -c 300000 /dev/zero >&3"), Stall: 100 * time.Millisecond, Readers: []func(io.Reader) error{func(r io.Reader) error {
		for range 3 {
			if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
				return err
			}
			<-time.After(300 * time.Millisecond)
		}
		_, err := io.Copy(io.Discard, r)
		return err
	}}})
	if err != nil {
		t.Error(err)
	}
}

// broken is a file of which some bytes cannot be read.
type broken struct{ err error }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 1<<20 {
		return 0, b.err
	}
	clear(p)
	return len(p), nil
}

func TestShared(t *testing.T) {
	s, err := Share(strings.NewReader("0123456789"), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	get := func(url, span string) (int, string) {
		q, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if span != "" {
			q.Header.Set("Range", span)
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	if code, body := get(s.URL(), "bytes=3-5"); code != 206 || body != "345" {
		t.Errorf("a range: %d %q", code, body)
	}
	if code, body := get(s.URL()[:len(s.URL())-1]+"x", ""); code != 404 {
		t.Errorf("another path: %d %q", code, body)
	}
}

func TestRunSaysThatTheFileCannotBeRead(t *testing.T) {
	cause := errors.New("the bucket is away")
	s, err := Share(broken{cause}, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = Run(t.Context(), Job{Source: s, Spec: Spec{Command: "sh", Args: []string{"-c", "exit 1"}}, Stdout: func(r io.Reader) error {
		a, err := http.Get(s.URL())
		if err != nil {
			return err
		}
		defer func() { _ = a.Body.Close() }()
		_, _ = io.Copy(io.Discard, a.Body)
		return nil
	}})
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
