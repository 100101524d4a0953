package crash

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// platter is a separate ext4 file system that can lose power: what was not synced is then lost.
type platter struct {
	t          *testing.T
	image, dir string
	boots      int
}

func newPlatter(t *testing.T) *platter {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	rig.Need(t, "mkfs.ext4", "mount", "umount", "unshare")
	d := &platter{t: t, dir: t.TempDir(), image: filepath.Join(t.TempDir(), "image")}
	if out, err := exec.Command("sh", "-c", "truncate -s 256M "+d.image+" && mkfs.ext4 -q "+d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs: %v\n%s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let us mount: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
	return d
}

// cut cuts the power: from one moment to the next nothing more is written, neither data nor the file system's own journal.
func (d *platter) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	const shutdown, withoutFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	flags := uint32(withoutFlush)
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); no != 0 {
		d.t.Skipf("this file system cannot be cut off: %v", no)
	}
}

// boot mounts what is on the platter. It is another file each time: the file system that was cut off lives on while any mount namespace that
// began meanwhile (ip netns exec makes one) has a copy of its mount, and mounting its file once more would give that one back, still cut off.
func (d *platter) boot() {
	d.t.Helper()
	next := filepath.Join(filepath.Dir(d.image), fmt.Sprintf("image%d", d.boots))
	if out, err := exec.Command("sh", "-c", `umount -l "$0" && cp --sparse=always "$1" "$2" && rm "$1" && mount -o loop "$2" "$0"`, d.dir, d.image, next).CombinedOutput(); err != nil {
		d.t.Fatalf("mount: %v\n%s", err, out)
	}
	d.image = next
	if err := os.WriteFile(filepath.Join(d.dir, "boot"), nil, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// machine makes the next start believe that the machine has been rebooted.
func (d *platter) machine() []string {
	d.boots++
	id := filepath.Join(filepath.Dir(d.image), "boot_id")
	if err := os.WriteFile(id, fmt.Appendf(nil, "%08d-0000-0000-0000-000000000000\n", d.boots), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, id}
}

// powerCut stops the process between two instructions, cuts the power, and discards the process.
func powerCut(p *rig.Process, d *platter) {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.T.Fatal(err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid)
	rig.Eventually(p.T, 5*time.Second, "the process stands still", func() bool {
		b, _ := os.ReadFile(stat)
		return strings.Contains(string(b), ") T ")
	})
	d.cut()
	_ = p.Cmd.Process.Kill()
	<-p.Done
}

// TestPowerCut cuts the power at random moments. With fsync: segment that is as if the server had been killed: nothing is lost that was
// confirmed or journalled, and the recording goes on. With never the recording does not go on, and may have lost more; but no name has two
// contents, and whatever the bucket lists exists.
func TestPowerCut(t *testing.T) {
	rig.Need(t, "ffmpeg")
	for _, fsync := range []string{"segment", "never"} {
		t.Run(fsync, func(t *testing.T) {
			d := newPlatter(t)
			v := rig.NewVault(t)
			spool := fmt.Sprintf("spool: {dir: %q, fsync: %s}\n", filepath.Join(d.dir, "spool"), fsync)
			p := rig.ServeWrapped(t, t.TempDir(), d.machine(), rig.Brisk+spool+v.YAML())
			streams := []string{"onward", "anew"}
			cameras := []*rig.Camera{rig.Shoot(t, p, "onward"), rig.Shoot(t, p, "anew", rig.BeginningAnew)}
			var viewers []*rig.Viewer
			for _, s := range streams {
				w, stop := rig.Watch(t, p.URL("live/streams/"+s+".m3u8"))
				defer stop()
				viewers = append(viewers, w)
			}
			reader := v.PeekAt(streams...)
			for i, s := range streams {
				rig.Eventually(t, 20*time.Second, s+" is on", func() bool { return viewers[i].Count() > 0 })
			}
			var deaths []time.Time
			for range int(max(4, 40*rig.Scale())) {
				time.Sleep(500*time.Millisecond + rand.N(4*time.Second))
				deaths = append(deaths, time.Now())
				powerCut(p, d)
				d.boot()
				p.Wrap = d.machine()
				p.Start()
				for _, s := range streams {
					rig.Eventually(t, 20*time.Second, s+" is served again", func() bool { return p.Status(p.URL(rig.EntryKey(s))) == http.StatusOK })
				}
			}
			time.Sleep(3 * time.Second)
			for _, c := range cameras {
				c.Stop()
			}
			for i, s := range streams {
				v.WaitFinished(s, p.RecordingOf(s), time.Minute)
				ids := map[string]bool{}
				for _, key := range v.Keys("live/streams/" + s + "/") {
					ids[path.Base(path.Dir(key))] = true
				}
				t.Logf("%s: %d power cuts, %d recordings", s, len(deaths), len(ids))
				if fsync == "never" {
					continue
				}
				w := viewers[i]
				w.Good()
				lost, gaps := v.Finished(w, s)
				perLife := map[int]int{}
				for _, uri := range lost {
					n, _ := slices.BinarySearchFunc(deaths, w.Named[uri], time.Time.Compare)
					if perLife[n]++; perLife[n] > 1 {
						t.Errorf("%s: life %d lost more than one segment that was shown: %v", s, n, lost)
					}
				}
				if len(ids) != 1 || gaps > 2*len(deaths) {
					t.Errorf("%s: %d recordings, %d gaps", s, len(ids), gaps)
				}
				t.Logf("%s: %d segments shown, %d of them lost, %d gaps", s, len(w.Named), len(lost), gaps)
			}
			if n := p.Metric("hlsorigin_upload_conflicts_total{target=\"bucket\"}"); n != 0 {
				t.Errorf("%v names with two contents", n)
			}
			reader.Good()
		})
	}
}
