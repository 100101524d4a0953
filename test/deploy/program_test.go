package deploy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// folderOfProgram is for what built makes; TestMain makes and removes it.
var folderOfProgram string

func TestMain(m *testing.M) {
	var err error
	if folderOfProgram, err = os.MkdirTemp("", "hlsorigin-deploy-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folderOfProgram)
	os.Exit(code)
}

// built is the program, built once.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folderOfProgram, "hlsorigin")
	build := exec.Command("go", "build", "-o", path, "./cmd/hlsorigin")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// check runs `hlsorigin check` in an environment, and returns its output.
func check(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"check"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("hlsorigin check: %v\n%s", err, out)
	}
	return string(out)
}

// TestComposeReads lets Compose's own library read the file, by its schema, and finds what belongs together.
func TestComposeReads(t *testing.T) {
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
		Environment: types.Mapping{"CAM_KEY": "a-stream-key"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hlsorigin", "s3", "prometheus", "grafana"} {
		if _, err := project.GetService(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: folder, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
	}); err == nil || !strings.Contains(err.Error(), "CAM_KEY") {
		t.Errorf("without a stream key: %v", err)
	}
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
	if tokens := ours.Environment["HLSORIGIN_ADMIN_TOKENS"]; !strings.Contains(tokens, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("only-for-trying")))) {
		t.Errorf("the page does not take the token that the file names: %s", tokens)
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
