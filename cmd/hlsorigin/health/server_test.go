package health

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// process is one in a pretended /proc.
type process struct {
	exe, cwd string
	args     []string
}

func pretend(t *testing.T, all map[string]process) (proc string) {
	t.Helper()
	proc = t.TempDir()
	for pid, p := range all {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, to := range map[string]string{"exe": p.exe, "cwd": p.cwd} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte(strings.Join(p.args, "\x00")+"\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

// served takes a command line as the command does, as far as these tests need it.
func served(args []string) (config string, ok bool) {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.StringVar(&config, "config", "", "")
	f.Bool("demo", false, "")
	ok = f.Parse(args) == nil && f.NArg() == 0
	return config, ok
}

func TestConfigOfServer(t *testing.T) {
	const exe = "/hlsorigin"
	self := process{exe, "/", []string{exe, "healthcheck"}}
	server := func(args ...string) process { return process{exe, "/srv", append([]string{exe}, args...)} }
	for name, tc := range map[string]struct {
		all  map[string]process
		want string
	}{
		"the first process of a container": {map[string]process{"1": server("-config", "/etc/hlsorigin.yaml"), "7": self}, "/etc/hlsorigin.yaml"},
		"below an init":                    {map[string]process{"1": {"/sbin/tini", "/", []string{"tini", "--", exe, "-config", "/x"}}, "6": server("--config=/etc/h.yaml"), "7": self}, "/etc/h.yaml"},
		"a relative name":                  {map[string]process{"1": server("-config", "h.yaml"), "7": self}, "/srv/h.yaml"},
		"no file":                          {map[string]process{"1": server(), "7": self}, ""},
		"a demo":                           {map[string]process{"1": server("-demo"), "7": self}, ""},
		"no server":                        {map[string]process{"1": {"/bin/sh", "/", []string{"sh"}}, "7": self}, ""},
		"two servers":                      {map[string]process{"5": server("-config", "/a"), "6": server("-config", "/b"), "7": self}, ""},
		"another command beside it":        {map[string]process{"5": server("-config", "/a"), "6": server("recordings", "-config", "/b"), "7": self}, "/a"},
		"another program of this name":     {map[string]process{"5": {"/usr/bin/hlsorigin", "/", []string{exe, "-config", "/a"}}, "7": self}, ""},
		"one that has ended":               {map[string]process{"5": {exe, "/", nil}, "7": self}, ""},
	} {
		proc := pretend(t, tc.all)
		if err := os.Symlink("7", filepath.Join(proc, "self")); err != nil {
			t.Fatal(err)
		}
		if got := ConfigOfServer(proc, served); got != tc.want {
			t.Errorf("%s: %q, wanted %q", name, got, tc.want)
		}
	}
	if got := ConfigOfServer(filepath.Join(t.TempDir(), "none"), served); got != "" {
		t.Errorf("without /proc: %q", got)
	}
}
