package show

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestContainer starts the server as a cluster does: a file named on the command line, and in the environment what Kubernetes puts there
// beside a Service of its name. The image's health check, which names no file, finds it.
func TestContainer(t *testing.T) {
	for _, v := range []string{"HLSORIGIN_SERVICE_HOST=10.96.0.17", "HLSORIGIN_SERVICE_PORT=5080", "HLSORIGIN_SERVICE_PORT_HTTP=5080", "HLSORIGIN_PORT=tcp://10.96.0.17:5080",
		"HLSORIGIN_PORT_5080_TCP=tcp://10.96.0.17:5080", "HLSORIGIN_PORT_5080_TCP_ADDR=10.96.0.17", "HLSORIGIN_PORT_5080_TCP_PORT=5080", "HLSORIGIN_PORT_5080_TCP_PROTO=tcp",
		"HLSORIGIN_HTP_LISTEN=:80"} {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	admin := rig.FreeAddress(t)
	p := &rig.Process{T: t, Dir: t.TempDir(), HTTP: rig.FreeAddress(t), Admin: admin, RTMP: rig.FreeAddress(t), Args: []string{"-config", "server.yaml"}}
	yaml := "http: {listen: \"" + p.HTTP + "\"}\nadmin: {listen: \"" + admin + "\"}\nrtmp: {listen: \"" + p.RTMP + "\"}\nrtsp: {listen: \"\"}\n"
	if err := os.WriteFile(p.Dir+"/server.yaml", []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Env = os.Environ()
	p.Start()
	t.Cleanup(p.Kill)
	said := p.Log.String()
	if strings.Count(said, "level=WARN") != 1 || !strings.Contains(said, "HLSORIGIN_HTP_LISTEN") || !strings.Contains(said, `\"HLSORIGIN_HTTP_LISTEN\"`) {
		t.Errorf("the one variable that is none is not warned about:\n%s", said)
	}

	program, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	check := func() (string, error) {
		cmd := exec.Command(program, "healthcheck")
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil {
		t.Errorf("healthcheck: %v %s", err, out)
	}
	p.Kill()
	if out, err := check(); err == nil {
		t.Errorf("healthcheck without a server: %s", out)
	}
}
