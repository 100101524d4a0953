//go:build linux

// Package system starts and stops a server as described in a small file, and reads its cost from /proc. It refuses to know any server by
// name.
package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// Adapter says how a server is started and where its streams come in and go out. Command, Files, Ingest and Playlist are templates
// (text/template) over Place.
type Adapter struct {
	Name    string            `json:"name"`
	Note    string            `json:"note"`    // for the reader of the tables
	Build   string            `json:"build"`   // a Go package of this tree to build; {{.Binary}} in the command
	Program string            `json:"program"` // or a program, looked for where the runner was told, then in PATH
	Command []string          `json:"command"` // with its arguments
	Files   map[string]string `json:"files"`   // name in the server's directory: template file beside the adapter
	Folders []string          `json:"folders"` // to create in the server's directory

	Ingest   string `json:"ingest"`   // rtmp://… with {{.Stream}}; empty: it accepts no streams and serves files made for it
	Playlist string `json:"playlist"` // http://… with {{.Stream}}; empty: it serves nothing
	Profile  string `json:"profile"`  // http://…/debug/pprof/ of a Go server that has it

	Measures       []string `json:"measures"`         // the measures it takes part in; empty: all that it can
	WindowInMemory bool     `json:"window_in_memory"` // the live window is in its memory, not in files

	dir string // of the adapter
}

// ErrAbsent means that a program is not on this machine.
var ErrAbsent = errors.New("is not here")

// Load reads an adapter file.
func Load(path string) (*Adapter, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	a := &Adapter{dir: filepath.Dir(path)}
	if err := d.Decode(a); err != nil {
		return nil, fmt.Errorf("adapter %s: %w", path, err)
	}
	if a.Name == "" || len(a.Command) == 0 || (a.Ingest == "" && a.Playlist == "") {
		return nil, fmt.Errorf("adapter %s: name, command, and ingest or playlist are needed", path)
	}
	return a, nil
}

// Takes reports whether the server takes part in a measure.
func (a *Adapter) Takes(measure string) bool {
	if len(a.Measures) == 0 {
		return true
	}
	for _, m := range a.Measures {
		if m == measure {
			return true
		}
	}
	return false
}

// Find returns the server's program: found under paths (by the program's name), or built into dir, or found in PATH. The error is ErrAbsent
// if there is none.
func (a *Adapter) Find(dir string, paths map[string]string) (string, error) {
	switch name := filepath.Base(a.Build); {
	case a.Build != "" && paths[name] != "":
		return filepath.Abs(paths[name])
	case a.Build != "":
		binary := filepath.Join(dir, name)
		if _, err := os.Stat(binary); err == nil {
			return binary, nil
		}
		cmd := exec.Command("go", "build", "-o", binary, a.Build)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", a.Build, err, out)
		}
		return binary, nil
	case a.Program == "":
		return os.Executable()
	case paths[a.Program] != "":
		path, err := filepath.Abs(paths[a.Program])
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", a.Program, err)
		}
		return path, nil
	}
	path, err := exec.LookPath(a.Program)
	if err == nil {
		return path, nil
	}
	for _, d := range []string{"/usr/sbin", "/usr/local/sbin"} { // not in every user's PATH
		if path, err := exec.LookPath(filepath.Join(d, a.Program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s %w", a.Program, ErrAbsent)
}

func expand(text string, p *Place) (string, error) {
	t, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{"port": p.Port}).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p)
	return b.String(), err
}
