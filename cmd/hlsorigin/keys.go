package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/hlsorigin/hlsorigin/ingest/auth"
)

const keysHelp = `hlsorigin keys new prints a new publish key, and the hash of it that the configuration may hold instead. A token for the API is
made in the same way: admin: {tokens: [{name: ci, hash: "sha256:…", scope: read}]}, scope operate for one that may change things.

  key   goes into the encoder, as its stream key or its password
  hash  goes into the configuration: apps: {live: {keys: {cam: "sha256:…"}}}. Nobody learns the key from it; but RTSP encoders
        must then send it as Basic or in the URL, since a Digest can be checked with the plain key alone
`

// keysCommand makes publish keys.
func keysCommand(args []string, env environment) error {
	if len(args) == 0 || args[0] != "new" {
		fmt.Fprint(env.out, keysHelp)
		if len(args) > 0 && args[0] != "help" && args[0] != "-h" {
			return usageError{fmt.Errorf("keys: there is no act %q: it is new", args[0])}
		}
		return nil
	}
	switch err := parse(flags("keys new"), args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(env.out, keysHelp)
		return nil
	case err != nil:
		return err
	}
	key := auth.NewKey()
	_, err := fmt.Fprintf(env.out, "key   %s\nhash  %s\n", key, auth.Hash(key))
	return err
}
