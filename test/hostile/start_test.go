package hostile

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// quick is how long a program may take that only has to report what is wrong.
const quick = 20 * time.Second

// An invalid configuration, certificate or key is reported at once, and nothing is created.
func TestFilesOfTheConfiguration(t *testing.T) {
	for _, kind := range []string{"pipe", "device", "directory", "4 GB"} {
		for _, file := range []string{"config.yaml", "cert.pem", "key.pem"} {
			t.Run(kind+" for "+file, func(t *testing.T) {
				dir := t.TempDir()
				yaml := "http: {listen: \"127.0.0.1:0\", tls: {listen: \"127.0.0.1:0\", cert: cert.pem, key: key.pem}}\n" +
					"rtmp: {listen: \"127.0.0.1:0\", tls: {listen: \"127.0.0.1:0\", cert: cert.pem, key: key.pem}}\nrtsp: {listen: \"\"}\nadmin: {listen: \"\"}\n"
				for _, name := range []string{"cert.pem", "key.pem"} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte("none"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
					t.Fatal(err)
				}
				plant(t, kind, filepath.Join(dir, file))
				for _, command := range [][]string{{}, {"recordings", "ls"}, {"check"}} {
					if file != "config.yaml" && len(command) > 0 {
						continue
					}
					said, status := run(t, dir, quick, append(command, "-config", "config.yaml")...)
					if status != 1 || !strings.Contains(said, file) {
						t.Errorf("%v: %d, %s", command, status, said)
					}
				}
				if exists(dir, "data") {
					t.Error("a folder was made")
				}
			})
		}
	}
}

// A start that cannot open its ports has touched neither spool nor bucket.
func TestNothingIsTouchedBeforeThePorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	yaml := fmt.Sprintf("http: {listen: %q}\nrtmp: {listen: \"127.0.0.1:0\"}\nrtsp: {listen: \"\"}\nadmin: {listen: \"\"}\n", l.Addr())
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	said, status := run(t, dir, quick, "-config", "config.yaml")
	if status != 1 || !strings.Contains(said, "http.listen") || exists(dir, "data") {
		t.Errorf("%d, %s", status, said)
	}
}

// A spool that is not a directory is reported in /readyz, costs no recording if there is a bucket, and does not make a stop fail.
func TestSpoolThatIsNone(t *testing.T) {
	rig.Need(t, "ffmpeg")
	for _, kind := range []string{"truncated", "pipe", "device"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, kind, filepath.Join(dir, "spool"))
			p := rig.Serve(t, dir, rig.Brisk+"spool: {dir: spool}\nstorage: {url: \"file://bucket\"}\n")
			if got := p.Get("http://" + p.Admin + "/readyz"); !strings.Contains(got, "spool.dir") {
				t.Errorf("/readyz: %s", got)
			}
			c := rig.Shoot(t, p, "cam")
			rig.Eventually(t, 30*time.Second, "segments are in the bucket", func() bool {
				files, _ := filepath.Glob(filepath.Join(dir, "bucket/live/streams/cam/*/*.ts"))
				return len(files) > 2
			})
			c.Stop()
			if took := p.Signal(syscall.SIGTERM, 30*time.Second); p.Err != nil {
				t.Errorf("ended after %v: %v\n%s", took, p.Err, p.Log)
			}
			if !exists(dir, "spool") {
				t.Error("what was there is gone")
			}
		})
	}
}

// A start that waits for a silent bucket ends at a signal, leaves the spool to the next one, and holds no lock.
func TestStartEndsAtASignal(t *testing.T) {
	rig.Need(t, "ffmpeg")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := t.TempDir()
	p := rig.Serve(t, dir, rig.Brisk+fmt.Sprintf("spool: {dir: spool}\nshutdown: {timeout: 1s}\nstorage: {url: \"s3://b/p\", endpoint: \"http://%s\", region: r, path_style: true, access_key: a, secret_key: b}\n", silent.Addr()))
	c := rig.Shoot(t, p, "cam")
	journals := func() []string {
		found, _ := filepath.Glob(filepath.Join(dir, "spool/live/streams/cam/*/journal"))
		return found
	}
	rig.Eventually(t, 30*time.Second, "segments are in the spool", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "spool/live/streams/cam/*/0*.ts"))
		return len(files) > 2 && len(journals()) == 1
	})
	c.Stop()
	p.Kill()
	// Its end is torn off: the bucket has to be asked.
	info, err := os.Stat(journals()[0])
	if err := errors.Join(err, os.Truncate(journals()[0], info.Size()-5)); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p.Spawn()
		pressed := rig.StartPressure()
		rig.Eventually(t, 10*time.Second, "its port is had", func() bool {
			conn, err := net.Dial("tcp", p.HTTP)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		if took := p.Signal(sig, 10*time.Second); p.Err != nil || took > 2*time.Second+rig.Slack(pressed.Share(), 4*time.Second) {
			t.Errorf("%v: ended after %v: %v\n%s", sig, took, p.Err, p.Log)
		}
		if !strings.Contains(p.Log.String(), "stopped while starting") {
			t.Errorf("%v: %s", sig, p.Log)
		}
	}
	if len(journals()) != 1 {
		t.Error("the journal is gone")
	}
}
