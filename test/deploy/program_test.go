package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// check runs `hlsorigin check` in an environment, and returns its output.
func check(t *testing.T, env []string, args ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hlsorigin")
	build := exec.Command("go", "build", "-o", program, "./cmd/hlsorigin")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"check"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("hlsorigin check: %v\n%s", err, out)
	}
	return string(out)
}

// TestCompose starts nothing: it reads the file, and checks that the program accepts its settings.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Environment map[string]string
			Volumes     []string
			DependsOn   map[string]any `json:"depends_on"`
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(read(t, "compose.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	ours := file.Services["hlsorigin"]
	var env []string
	for name, value := range ours.Environment {
		env = append(env, name+"="+regexp.MustCompile(`\$\{CAM_KEY:[^}]*\}`).ReplaceAllString(value, "a-stream-key"))
	}
	if said := check(t, env); !strings.Contains(said, "s3://recordings/archive") || strings.Contains(said, "a-stream-key") {
		t.Errorf("check says\n%s", said)
	}
	for name, s := range file.Services {
		for other := range s.DependsOn {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is none", name, other)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join(folder, from)); err != nil {
					t.Errorf("%s mounts %s: %v", name, from, err)
				}
			} else if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s mounts the volume %s, which is none", name, from)
			}
		}
	}
}

// TestUnit lets systemd itself read the unit.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text := string(read(t, "systemd", "hlsorigin.service"))
	yes, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "hlsorigin.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(text, "/usr/local/bin/hlsorigin", yes)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
