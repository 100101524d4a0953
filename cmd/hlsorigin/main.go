// Command hlsorigin is a live HLS origin server with real-time S3 offload. This package only puts the stages together:
// flags, signals, what starts and stops in which order, and how the parts' counters become metrics. It refuses to know
// how any of them works.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/buildinfo"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/printable"
	"github.com/hlsorigin/hlsorigin/configs"
)

// What the linker is told, for releases and images; the rest comes from what the go command leaves in the program.
var version, commit, date string

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	retry := make(chan os.Signal, 1)
	notifyRetry(retry)
	os.Exit(run(os.Args[1:], environment{out: os.Stdout, err: os.Stderr, vars: os.Environ(), signals: signals, retry: retry, reload: make(chan os.Signal, 1)}))
}

// environment is what a command may touch of the outside.
type environment struct {
	out, err io.Writer
	vars     []string // as os.Environ
	signals  <-chan os.Signal
	retry    <-chan os.Signal // asks for uploads at once; may be nil
	reload   chan os.Signal   // asks the server to read its configuration again; may be nil
	started  func(addresses)  // for tests: called once all listeners are open
}

// usageError is an error that the command line itself is to blame for.
type usageError struct{ error }

// run is the whole program: arguments in, exit status out. 0 is success, 1 a failure, 2 a command line that makes no
// sense.
func run(args []string, env environment) int {
	err := dispatch(args, env)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(env.out, help)
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(printable.Writer(env.err), "hlsorigin: %v\nTry: %s -h\n", err, helpful(args))
		return 2
	}
	fmt.Fprintf(printable.Writer(env.err), "hlsorigin: %v\n", err)
	return 1
}

// helpful is what has help for a command line.
func helpful(args []string) string {
	if len(args) > 0 && slices.Contains([]string{"cloudfront", "ctl", "hooks", "job", "recordings", "scale"}, args[0]) {
		return "hlsorigin " + args[0]
	}
	return "hlsorigin"
}

func dispatch(args []string, env environment) error {
	name := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	switch name {
	case "":
		return serveCommand(args, env)
	case "check":
		return checkCommand(args, env)
	case "cloudfront":
		return cloudfrontCommand(args, env)
	case "ctl":
		return ctlCommand(args, env)
	case "healthcheck":
		return healthcheckCommand(args, env)
	case "hooks":
		return hooksCommand(args, env)
	case "job":
		return jobCommand(args, env)
	case "keys":
		return keysCommand(args, env)
	case "recordings":
		return recordingsCommand(args, env)
	case "scale":
		return scaleCommand(args, env)
	case "version":
		_, err := fmt.Fprint(env.out, built())
		return err
	case "help":
		return flag.ErrHelp
	}
	return usageError{fmt.Errorf("there is no command %q", name)}
}

// built is what this program was built from.
func built() buildinfo.Info {
	return buildinfo.Read(buildinfo.Linked{Version: version, Commit: commit, Date: date})
}

func versionString() string { return built().Version }

// commitString returns the commit that the program was built from, with "-dirty" where files were changed; empty where the build does not say.
func commitString() string {
	info := built()
	if info.Commit != "" && info.Modified {
		return info.Commit + "-dirty"
	}
	return info.Commit
}

// flags makes a flag set that reports its errors through run.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// configFlag is the configuration file of a command: what the command line says, else the environment, so that one setting
// in a container is for the server and for all that is asked about it.
func configFlag(f *flag.FlagSet, env environment) *string {
	path := ""
	for _, v := range env.vars {
		if name, value, _ := strings.Cut(v, "="); name == configs.FileVariable {
			path = value
		}
	}
	return f.String("config", path, "")
}

func parse(f *flag.FlagSet, args []string) error {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err}
	case f.NArg() > 0:
		return usageError{fmt.Errorf("%q was not expected", f.Arg(0))}
	}
	return nil
}

const help = `hlsorigin is a live HLS origin server that mirrors every segment to a bucket as it airs.

  hlsorigin -demo                 see it work: a clip is published over RTMP, served as HLS, and archived in data/bucket
  hlsorigin                       serve with the defaults: RTMP :1935, RTSP :8554, HLS :5080, admin 127.0.0.1:5081
  hlsorigin -config FILE          serve as FILE says
  hlsorigin check -config FILE    say what is wrong with FILE, or print what is in force; -quiet prints only what is wrong
  hlsorigin cloudfront            print a CloudFormation template or Terraform for the CDN in front of it (-h: how)
  hlsorigin ctl                   ask a running server: streams, kick, end, metadata, clip, reload, sync, log-level, retry
  hlsorigin healthcheck           ask a running server whether it is well (for containers)
  hlsorigin hooks                 test: send a test event to each webhook, and say what it answered; secret: make a secret for one
  hlsorigin job                   files that become adaptive packages: add, ls, show, rm
  hlsorigin keys new              a new publish key, and the hash that the configuration may hold in its place
  hlsorigin recordings            what is in the bucket: list, verify, repair, export, remove
  hlsorigin scale                 compute requests, servers, costs and limits of a show of a given size (-h: how)
  hlsorigin version               version, commit, date, Go version

Publish    rtmp://HOST:1935/live/cam     in OBS: Server rtmp://HOST:1935/live, Stream Key cam
Watch      http://HOST:5080/live/streams/cam.m3u8
Look       http://127.0.0.1:5081/        player, health, metrics

Without keys only this machine may publish. To let others in, give each stream a key:

  apps:
    live:
      keys: {cam: "${CAM_KEY}"}          # the encoder sends the key, viewers see the name

Where recordings go, S3 or a directory:

  storage: {url: "s3://my-bucket/archive", region: eu-central-1}

Every setting, with its default: configs/default.yaml, or hlsorigin check.
Every setting is an environment variable too: HLSORIGIN_HTTP_LISTEN=:8080; HLSORIGIN_CONFIG names the file
Ctrl-C ends the show and closes its playlists; SIGTERM holds it over for the next start.
SIGHUP, or a change of the file, reloads the configuration; no show notices. SIGUSR1 retries uploads and webhooks at once.
`
