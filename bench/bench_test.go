//go:build linux

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
	"github.com/hlsorigin/hlsorigin/bench/system"
)

// TestMain lets the test binary be the servers that the runner starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-role" {
		main()
		return
	}
	os.Exit(m.Run())
}

// record puts an invented clip where the runner looks for the real one.
func record(t *testing.T, dir string, q publish.Quality) {
	t.Helper()
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for i := range 240 {
		at, frame := i*1000/30, byte(0x27)
		if i%60 == 0 {
			frame = 0x17
		}
		body := append([]byte{frame, 1, 0, 0, 0}, make([]byte, 500)...)
		b = append(b, 9, 0, byte(len(body)>>8), byte(len(body)), byte(at>>16), byte(at>>8), byte(at), 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(append(b, body...), uint32(11+len(body)))
	}
	name := fmt.Sprintf("%s-%s-%dk-%dk.flv", q.Name, q.Size, q.Kilobit, q.Audio)
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRunFromAdaptersToTables(t *testing.T) {
	clips, out := t.TempDir(), t.TempDir()
	record(t, clips, publish.Studio)
	err := run(t.Context(), []string{"-systems", "systems/read-*.json", "-measures", "ingest", "-streams", "30",
		"-rounds", "2", "-time", "300ms", "-warm", "300ms", "-prime=false", "-tmp", t.TempDir(), "-clips", clips, "-out", out})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Results
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Systems) != 2 {
		t.Errorf("systems %v", r.Systems)
	}
	for _, n := range r.Notes {
		if !strings.Contains(n, "the publishers were late") { // a busy machine is no fault
			t.Error(n)
		}
	}
	for _, s := range r.Systems {
		if v := r.Samples["ingest.30.cpu"][s]; len(v) != 2 || v[0] <= 0 {
			t.Errorf("%s: samples %v", s, v)
		}
	}
	for _, f := range []string{"tables.md", "ingest.svg"} {
		if _, err := os.Stat(filepath.Join(out, f)); err != nil {
			t.Error(err)
		}
	}
}

func TestCommandLineRefuses(t *testing.T) {
	for _, args := range [][]string{{"-streams", "0"}, {"-connections", "x"}, {"-rounds", "0"}, {"-program", "nginx"}, {"-only", "nobody"}, {"-tmp", "/nowhere/at/all"}} {
		if err := run(t.Context(), append([]string{"-systems", "systems/read-*.json"}, args...)); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// If a program is missing, its system is left out and the run goes on.
func TestAbsentSystemsAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.json")
	if err := os.WriteFile(file, []byte(`{"name":"x","program":"no-such-server","command":["{{.Binary}}"],"ingest":"rtmp://127.0.0.1:1/a/b"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &runner{options: options{files: []string{file, "systems/read-only.json"}}, dir: dir}
	if err := r.gather(); err != nil {
		t.Fatal(err)
	}
	if len(r.systems) != 1 || r.systems[0].Name != "only reading" {
		t.Errorf("systems %v", r.results.Systems)
	}
}

func TestAdaptersOfTheTree(t *testing.T) {
	files, err := filepath.Glob("systems/*.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d adapters, %v", len(files), err)
	}
	for _, file := range files {
		a, err := system.Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, template := range a.Files {
			if _, err := os.Stat(filepath.Join("systems", template)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestFailingServerIsANoteWithItsLog(t *testing.T) {
	a := &system.Adapter{Name: "x", Command: []string{"/bin/sh", "-c", "echo port is taken; exit 3"}, Ingest: `rtmp://127.0.0.1:{{port "rtmp"}}/a/b`}
	_, err := a.Start(t.Context(), system.Place{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "port is taken") {
		t.Errorf("error %v", err)
	}
}
