package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// licenceFile is what files are called that go with a copy of a module.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([._-].*)?$`)

// notices is the text of the licences of all that is in a program, each once, under the names of what it is for.
// folders is what moduleFolders returns.
func notices(m materials, folders map[string]string) ([]byte, error) {
	var texts []string
	of := map[string][]string{}
	for _, d := range append([]string{"Go's standard library"}, paths(m)...) {
		text, err := licence(folders[d])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		if of[text] == nil {
			texts = append(texts, text)
		}
		of[text] = append(of[text], d)
	}
	var b bytes.Buffer
	b.WriteString("hlsorigin is under the Apache License 2.0: see LICENSE. In the program is also what follows.\n")
	if m.script != nil {
		fmt.Fprintf(&b, "\nhls.js %s is under the Apache License 2.0 too: see LICENSE. Copyright (c) 2017 Dailymotion (http://www.dailymotion.com)\n", m.script.version)
	}
	line := strings.Repeat("-", 80)
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n\n%s\n", line, strings.Join(of[text], "\n"), line, text)
	}
	return b.Bytes(), nil
}

func paths(m materials) (all []string) {
	for _, d := range m.info.Deps {
		all = append(all, d.Path)
	}
	return all
}

// moduleFolders are where the source of each module lies.
func moduleFolders(ctx context.Context) (map[string]string, error) {
	var out bytes.Buffer
	if err := output(gocmd(ctx, "list", "-m", "-f", "{{.Path}}\t{{.Dir}}", "all"), &out); err != nil {
		return nil, err
	}
	folders := map[string]string{}
	for line := range strings.Lines(out.String()) {
		path, dir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		folders[path] = dir
	}
	out.Reset()
	if err := output(gocmd(ctx, "env", "GOROOT"), &out); err != nil {
		return nil, err
	}
	folders["Go's standard library"] = strings.TrimSpace(out.String())
	return folders, nil
}

// licence is the text of all licence files in a folder.
func licence(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("its source is not here")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, e := range entries {
		if e.Type().IsRegular() && licenceFile.MatchString(e.Name()) {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return "", err
			}
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
	if len(texts) == 0 {
		return "", fmt.Errorf("there is no licence in %s", dir)
	}
	return strings.Join(texts, "\n\n"), nil
}
