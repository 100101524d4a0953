package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// release is one version in the making.
type release struct {
	version string
	dir     string            // for what is made
	folders map[string]string // where the source of each module lies
	files   []string
}

// make builds for a platform, GOOS/GOARCH, and returns the name of the packed file.
func (r *release) make(ctx context.Context, platform string) (file string, err error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return "", errors.New("a platform is GOOS/GOARCH")
	}
	name := strings.Join([]string{"hlsorigin", r.version, goos, goarch}, "_")
	program := filepath.Join(r.dir, "program")
	if err := build(ctx, program, goos, goarch, r.version); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Remove(program)) }()
	m, err := readMaterials(program, r.version)
	if err != nil {
		return "", err
	}
	switch {
	case m.script == nil:
		return "", errors.New("hls.js is not in the program")
	case m.date.IsZero():
		return "", errors.New("the program does not say of which commit it is: build in a clone, not in a worktree, of which the go command knows nothing")
	}
	licences, err := notices(m, r.folders)
	if err != nil {
		return "", err
	}
	bom := m.cycloneDX()
	packed := []entry{{name: "hlsorigin", mode: 0o755, body: m.program}, {name: "THIRD-PARTY.txt", body: licences}, {name: "hlsorigin.cdx.json", body: bom}}
	from := map[string]string{"LICENSE": "LICENSE", "CHANGELOG.md": "CHANGELOG.md", "hlsorigin.yaml": "configs/default.yaml"}
	if goos == "linux" {
		from["hlsorigin.service"] = "deploy/systemd/hlsorigin.service"
	}
	for name, path := range from {
		body, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		packed = append(packed, entry{name: name, body: body})
	}
	archive, err := pack(name, m.date, packed)
	if err != nil {
		return "", err
	}
	return name + ".tar.gz", errors.Join(r.put(name+".tar.gz", archive), r.put(name+".cdx.json", bom))
}

// put writes a file of the release.
func (r *release) put(name string, body []byte) error {
	r.files = append(r.files, name)
	return os.WriteFile(filepath.Join(r.dir, name), body, 0o644)
}

// sums writes SHA256SUMS, which sha256sum -c reads.
func (r *release) sums() error {
	var b bytes.Buffer
	for _, name := range slices.Sorted(slices.Values(r.files)) {
		body, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(body), name)
	}
	return os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), b.Bytes(), 0o644)
}

// build makes a static program. What the environment says of how to build is set aside: it would be in the bytes.
func build(ctx context.Context, program, goos, goarch, version string) error {
	cmd := gocmd(ctx, "build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w -X main.version="+version, "-o", program, "./cmd/hlsorigin")
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1", "GOARM64=v8.0")
	return output(cmd, nil)
}

// gocmd is a go command that takes modules from go.mod alone, whatever the environment says.
func gocmd(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	return cmd
}

// git asks git about the source.
func git(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := output(exec.CommandContext(ctx, "git", args...), &out)
	return strings.TrimSpace(out.String()), err
}

// output runs a command. Its error has what the command said.
func output(cmd *exec.Cmd, out *bytes.Buffer) error {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	return nil
}
