package health

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Proc is where the kernel shows processes. Where it does not, no server is found.
const Proc = "/proc"

// ConfigOfServer returns the configuration file that the command line of the running server names, so that what is asked about a server
// follows it: a health check stands in an image, and the command line in whatever runs it. The server is the process that runs the same
// program file as this one, and serves; served reports whether a command line, without the program, does, and the file that it names. Empty:
// it names none, or there is no such process, or more than one.
func ConfigOfServer(proc string, served func(args []string) (config string, ok bool)) string {
	own, err := os.Readlink(filepath.Join(proc, "self", "exe"))
	if err != nil {
		return ""
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return ""
	}
	file, servers := "", 0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		dir := filepath.Join(proc, e.Name())
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err != nil || exe != own {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		config, serves := served(args[1:])
		if args[0] == "" || !serves {
			continue // it is ending, or another command, as this one is
		}
		if servers++; config != "" && !filepath.IsAbs(config) {
			if cwd, err := os.Readlink(filepath.Join(dir, "cwd")); err == nil {
				config = filepath.Join(cwd, config)
			}
		}
		file = config
	}
	if servers != 1 {
		return ""
	}
	return file
}
