package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
)

// What follows is as much of CycloneDX 1.6 (ECMA-424) as is said of a program.
type (
	bom struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
		Compositions []completion `json:"compositions"`
	}
	metadata struct {
		Timestamp  string     `json:"timestamp,omitempty"`
		Component  component  `json:"component"`
		Properties []property `json:"properties,omitempty"`
	}
	component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		Scope   string `json:"scope,omitempty"`
		Hashes  []hash `json:"hashes,omitempty"`
		PURL    string `json:"purl"`
	}
	hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn,omitempty"`
	}
	completion struct {
		Aggregate  string   `json:"aggregate"`
		Assemblies []string `json:"assemblies"`
	}
)

// cycloneDX is the bill of materials: the program with its hash, every module in it, Go's standard library, and hls.js where it is
// inside. Its date is the commit's and its number comes from the program's hash, so that one program has one bill.
func (m *materials) cycloneDX() []byte {
	sum := sha256.Sum256(m.program)
	self := module("application", debug.Module{Path: m.info.Main.Path, Version: m.version})
	self.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	b := bom{
		Format: "CycloneDX", Spec: "1.6", Serial: serial(sum[:]), Version: 1,
		Metadata:     metadata{Component: self},
		Compositions: []completion{{"complete", []string{self.Ref}}},
	}
	if !m.date.IsZero() {
		b.Metadata.Timestamp = m.date.UTC().Format(time.RFC3339)
	}
	for _, s := range m.info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "-trimpath", "vcs.revision", "vcs.modified":
			b.Metadata.Properties = append(b.Metadata.Properties, property{"hlsorigin:build:" + s.Key, s.Value})
		}
	}
	b.Components = append(b.Components, module("library", debug.Module{Path: "std", Version: m.goVersion()}))
	for _, d := range m.info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		b.Components = append(b.Components, module("library", *d))
	}
	if m.script != nil {
		purl := "pkg:npm/hls.js@" + m.script.version
		b.Components = append(b.Components, component{Type: "library", Ref: purl, Name: "hls.js", Version: m.script.version, Scope: "required",
			Hashes: []hash{{"SHA-384", hex.EncodeToString(m.script.sum)}}, PURL: purl})
	}
	all := dependency{Ref: self.Ref}
	for _, c := range b.Components {
		all.On = append(all.On, c.Ref)
		b.Dependencies = append(b.Dependencies, dependency{Ref: c.Ref})
	}
	b.Dependencies = append([]dependency{all}, b.Dependencies...)
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		panic(err) // a type of ours that cannot be JSON
	}
	return append(text, '\n')
}

// module is a Go module as a component. Its path keeps its capitals, by which vulnerability databases know it. The hash is that of
// go.sum: of the list of the module's files with theirs.
func module(kind string, d debug.Module) component {
	purl := "pkg:golang/" + d.Path + "@" + url.QueryEscape(d.Version) + "?type=module"
	c := component{Type: kind, Ref: purl, Name: d.Path, Version: d.Version, PURL: purl}
	if kind == "library" {
		c.Scope = "required"
	}
	if text, ok := strings.CutPrefix(d.Sum, "h1:"); ok {
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
			c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
		}
	}
	return c
}

// serial is a UUID of bytes that are as good as random: version 8 (RFC 9562, section 5.8).
func serial(sum []byte) string {
	u := [16]byte(sum)
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
