package players

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// vlc is VLC without a screen, asked over its remote control what it has played.
type vlc struct {
	meter
	*tool
	in   io.WriteCloser
	quit chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	pictures int
	lost     string
	at       time.Duration
}

// asking is how often VLC is asked; it updates its counts about as often.
const asking = 150 * time.Millisecond

func watchVLC(t *testing.T, src string) watcher {
	t.Helper()
	args := []string{"vlc", "-I", "oldrc", "--rc-fake-tty", "--no-dbus", "--no-media-library", "--no-video-title-show", "--play-and-exit",
		"--vout", "dummy", "--aout", "adummy", "-v", src}
	if os.Getuid() == 0 { // VLC refuses to run as root
		args = append([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "HOME=/nonexistent", "DISPLAY=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	x := &vlc{in: in, quit: make(chan struct{})}
	x.launch = time.Now()
	x.tool = start(t, cmd, x.hear)
	x.wg.Go(func() {
		for {
			select {
			case <-x.quit:
				return
			case <-x.done:
				return
			case <-time.After(asking):
			}
			if _, err := io.WriteString(in, "stats\nget_time\n"); err != nil {
				return
			}
		}
	})
	t.Cleanup(x.stop)
	return x
}

var vlcCount = regexp.MustCompile(`^\| (frames displayed|frames lost|buffers played) *: *(\d+)$`)

// hear parses the answers of the remote control.
func (x *vlc) hear(line string) bool {
	line = strings.TrimPrefix(line, "> ")
	if n, err := strconv.Atoi(line); err == nil {
		x.mu.Lock()
		x.at = time.Duration(n) * time.Second
		x.mu.Unlock()
		return true
	}
	m := vlcCount.FindStringSubmatch(line)
	if m == nil {
		return strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "+-") || line == "|" || strings.HasPrefix(line, "stats: returned")
	}
	n, _ := strconv.Atoi(m[2])
	x.mu.Lock()
	defer x.mu.Unlock()
	switch m[1] {
	case "frames displayed":
		x.pictures = n
	case "frames lost":
		x.lost = m[2]
	default: // the last of the three
		x.saw(time.Now(), x.pictures, n)
	}
	return true
}

func (x *vlc) look() result {
	ended := x.ended()
	r := x.meter.result("vlc", time.Now(), !ended)
	x.mu.Lock()
	defer x.mu.Unlock()
	r.At, r.Ended, r.Notes = x.at, ended, "lost "+x.lost
	return r
}

func (x *vlc) stop() {
	select {
	case <-x.quit:
		return
	default:
		close(x.quit)
	}
	x.kill()
	x.wg.Wait()
}

func TestHearVLC(t *testing.T) {
	x := &vlc{}
	for _, line := range []string{"> +----[ begin of statistical info ]", "+-[Video Decoding]", "| frames displayed :       12", "| frames lost      :        3", "|", "| buffers played   :       71", "7"} {
		if !x.hear(line) {
			t.Errorf("%q is kept", line)
		}
	}
	if x.hear("[00007f] main input error: no") || x.hear("status change: ( stop state: 5 )") {
		t.Error("what is worth keeping is lost")
	}
	if r := x.meter.result("vlc", time.Now(), true); r.Frames != 12 || x.sounds != 71 || x.at != 7*time.Second || x.lost != "3" {
		t.Errorf("%v, at %v, %d sounds", r, x.at, x.sounds)
	}
}
