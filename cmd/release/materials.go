package main

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"debug/buildinfo"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
)

// scriptFile is where `make web` puts hls.js.
const scriptFile = "origin/admin/hlsjs/hls.min.js"

// script is hls.js as it is pinned.
type script struct {
	version string // "1.6.19"
	sum     []byte // SHA-384
}

// materials are what a program is made of, as the program itself says.
type materials struct {
	program []byte
	info    *debug.BuildInfo
	version string
	date    time.Time // of the commit
	script  *script   // nil: it has none
}

// readMaterials reads a program. An empty version is the module's own.
func readMaterials(path, version string) (materials, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return materials{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return materials{}, err
	}
	m := materials{program: program, info: info, version: cmp.Or(version, info.Main.Version)}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if m.date, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return materials{}, err
			}
		}
	}
	body, err := readScript()
	if err != nil {
		return materials{}, err
	}
	if body != nil && bytes.Contains(program, body) {
		pinned := configs.Default().Admin.HLSJS
		version := regexp.MustCompile(`/hls\.js@([^/]+)/`).FindStringSubmatch(pinned.URL)
		if version == nil {
			return materials{}, fmt.Errorf("%s names no version of hls.js", pinned.URL)
		}
		sum := sha512.Sum384(body)
		m.script = &script{version[1], sum[:]}
	}
	return m, nil
}

// readScript reads hls.js, which must be the pinned one; nil where it was not fetched.
func readScript() ([]byte, error) {
	body, err := os.ReadFile(scriptFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum384(body)
	if want := configs.Default().Admin.HLSJS.Integrity; "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("%s has not the hash %s, which is pinned: remove it, and let make web fetch it", scriptFile, want)
	}
	return body, nil
}

// goVersion is the Go release without its prefix: "1.26.8".
func (m *materials) goVersion() string {
	v, _, _ := strings.Cut(strings.TrimPrefix(m.info.GoVersion, "go"), " ") // an experiment stands behind a space
	return v
}
