package hooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// Help is the usage of the command.
const Help = `hlsorigin hooks test    sends each webhook of the configuration a webhook.test, and says what it answered
hlsorigin hooks secret  prints a new secret for a webhook

  hlsorigin hooks test -config FILE       all of them
  hlsorigin hooks test -config FILE 1     webhooks[1] alone

  webhooks:
    - {url: "https://example.com/hook", secret: "${WEBHOOK_SECRET}"}

What is sent, and how a receiver checks it: docs/hooks.md.
`

// testTimeout bounds one test event.
const testTimeout = 15 * time.Second

// errNotTaken sets the exit status of Test.
var errNotTaken = errors.New("not every webhook took the test event")

// Test sends a test event to each webhook, or only to that with a non-negative index, and prints the result.
func Test(out io.Writer, h *Hooks, index int) error {
	n := len(h.Stats().Targets)
	switch {
	case n == 0:
		return errors.New("the configuration has no webhooks")
	case index >= n:
		return fmt.Errorf("there is no webhooks[%d]: there are %d, the first is 0", index, n)
	}
	all := error(nil)
	for i := range n {
		if index >= 0 && i != index {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		tried, err := h.Try(ctx, i)
		cancel()
		if err != nil {
			return err
		}
		said := "took it"
		if tried.Err != nil {
			said, all = "did not take it: "+tried.Err.Error(), errNotTaken
		}
		fmt.Fprintf(out, "webhooks[%d] at %s %s (%s, %v)\n", i, tried.Host, said, tried.ID, tried.Took.Round(time.Millisecond))
	}
	return all
}

// Secret returns a new secret of 32 random bytes.
func Secret() configs.Secret {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	return configs.Secret("whsec_" + base64.StdEncoding.EncodeToString(key[:]))
}
