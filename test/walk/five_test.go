package walk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestFiveMinutes runs docs/five-minutes.md in an empty folder, command by command, as a reader with several terminals does. Only the ports
// are others, and segments are shorter. It waits for what a reader sees: that the server answers, that the stream is on the air.
func TestFiveMinutes(t *testing.T) {
	rig.Need(t, "ffmpeg", "bash", "curl", "awk")
	program, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	page, err := steps(read(t, "docs/five-minutes.md"))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{"127.0.0.1:5080": rig.FreeAddress(t), "127.0.0.1:5081": rig.FreeAddress(t), "127.0.0.1:1935": rig.FreeAddress(t)}
	script := scriptOf(page)
	for from, to := range ports {
		script = strings.ReplaceAll(script, from, to)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "walk.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", file)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "HLSORIGIN_RTSP_LISTEN=", "HLSORIGIN_HLS_SEGMENT_DURATION=1s",
		"HLSORIGIN_HTTP_LISTEN="+ports["127.0.0.1:5080"], "HLSORIGIN_ADMIN_LISTEN="+ports["127.0.0.1:5081"], "HLSORIGIN_RTMP_LISTEN="+ports["127.0.0.1:1935"])
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v after %v\n%s", err, time.Since(began).Round(time.Second), out)
	}
	t.Logf("the page took %v, and said\n%s", time.Since(began).Round(time.Millisecond), out)
	for _, want := range []string{"hlsorigin ", "#EXT-X-STREAM-INF", "live/cam-", "live/cam "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing said %q:\n%s", want, out)
		}
	}
}

// begin is what the script of a page needs. What goes on in the background is a process group of its own, as in a terminal, so that
// Ctrl-C reaches all of it.
const begin = `set -meuo pipefail
pgs=() ; servers=()
eventually() { for _ in $(seq 600); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.1; done; echo "never: $*"; exit 1; }
on_the_air() { local entry media; entry=$(curl -sf "$1") && media=$(curl -sf "$(dirname "$1")/$(grep -v '^#' <<<"$entry" | head -1)") && ! grep -q ENDLIST <<<"$media"; }
interrupt() { # the newest first; a server has to end well, and of an encoder nobody asks how
	local i status
	for ((i = ${#pgs[@]} - 1; i >= 0; i--)); do
		status=0; kill -INT -- "-${pgs[i]}"; wait "${pgs[i]}" || status=$?
		if [ "${servers[i]}" = yes ] && [ "$status" != 0 ]; then echo "the server ended with status $status"; exit 1; fi
	done
	pgs=() ; servers=()
}
trap 'for g in "${pgs[@]}"; do kill -KILL -- "-$g" 2>/dev/null || true; done' EXIT
`

// scriptOf makes one script of a page. A server in the background has to answer before the next step.
func scriptOf(page []step) string {
	var b strings.Builder
	b.WriteString(begin)
	for _, s := range page {
		switch s.kind {
		case "sh":
			b.WriteString(s.text)
		case "background":
			server := strings.Contains("\n"+s.text, "\nhlsorigin")
			fmt.Fprintf(&b, "(\n%s) & pgs+=($!) ; servers+=(%s)\n", s.text, map[bool]string{true: "yes", false: "no"}[server])
			if server {
				b.WriteString("eventually curl -sf http://127.0.0.1:5080/healthz\n")
			}
		case "on the air":
			fmt.Fprintf(&b, "eventually on_the_air %s\n", s.text)
		case "Ctrl-C":
			b.WriteString("interrupt\n")
		}
	}
	return b.String()
}
