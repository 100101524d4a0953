package jobs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// kinds are files of different kinds, each of the length that is asked for.
func kinds(t *testing.T, seconds int) []string {
	t.Helper()
	d := strconv.Itoa(seconds)
	video := func(more ...string) []string {
		return append([]string{"-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=" + d, "-f", "lavfi", "-i", "sine=440:r=48000:d=" + d, "-shortest"}, more...)
	}
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p"}
	aac := []string{"-c:a", "aac", "-b:a", "64k"}
	var all []string
	for _, f := range []struct {
		name string
		args []string
	}{
		{"plain.mp4", append(h264, aac...)},
		{"front.mp4", append(append(h264, aac...), "-movflags", "+faststart")},
		{"fragments.mp4", append(append(h264, aac...), "-movflags", "+frag_keyframe+empty_moov")},
		{"name with späces.mov", append(h264, aac...)},
		{"matroska.mkv", append(h264, aac...)},
		{"stream.ts", append(h264, aac...)},
		{"flash.flv", append(h264, aac...)},
		{"old.avi", append([]string{"-c:v", "mpeg4"}, "-c:a", "libmp3lame")},
	} {
		all = append(all, film(t, f.name, video(f.args...)...))
	}
	return all
}

// Jobs of files of different kinds on three servers, of which one after the other is killed at random: each is done once, its package is
// whole, and its end is told at least once, under one id, by both ways.
func TestRunnersAreKilled(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 3)
	files := kinds(t, 8)
	n := 8
	if rig.Scale() >= 1 {
		n = 20
	}
	var ids []string
	for i := range n {
		file := files[i%len(files)]
		o := api.JobOrder{Input: p.upload(file), Kind: "adaptive_video", Output: fmt.Sprintf("vod/%d/", i), Options: api.JobOptions{Ladder: []api.JobRung{{Name: "240p", Height: 240, VideoBitrate: 300_000}, {Name: "120p", Height: 120, VideoBitrate: 100_000}}}}
		if i%3 == 2 && filepath.Ext(file) != ".avi" {
			o.Kind, o.Options = "remux", api.JobOptions{}
		}
		ids = append(ids, p.order(p.nodes[i%3], o).ID)
	}
	p.hooks.mu.Lock()
	p.hooks.fail = 3
	p.hooks.mu.Unlock()
	stop := make(chan struct{})
	var killing sync.WaitGroup
	kills := 0
	killing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second + rand.N(3*time.Second)):
			}
			victim := p.nodes[rand.N(len(p.nodes))]
			victim.Kill()
			if kills++; kills%4 == 0 { // it stays away for longer than its jobs are left to it
				select {
				case <-stop:
				case <-time.After(35 * time.Second):
				}
			}
			victim.Start()
		}
	})
	limit := time.Now().Add(10 * time.Minute)
	over := 0
	for over < n && time.Now().Before(limit) && !t.Failed() {
		over = 0
		for _, id := range ids {
			if j, ok := p.show(id); ok && (j.State == "succeeded" || j.State == "failed") {
				over++
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	close(stop)
	killing.Wait()
	tries := 0
	for _, id := range ids {
		j := p.wait(id, time.Minute, "succeeded", "failed")
		tries += j.Tries
		if j.State != "succeeded" {
			t.Errorf("%s %s: %s %s", j.Kind, j.Input, j.Code, j.Reason)
			continue
		}
		p.packaged(j, 8*time.Second)
		p.told(j)
	}
	p.clean()
	t.Logf("%d jobs, %d kills, %d tries", n, kills, tries)
}

// What cannot become a package fails with a reason that says why, and nothing of it is left.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	whole, err := os.ReadFile(kinds(t, 4)[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body []byte
		code string
	}{
		"text.mp4":      {[]byte(strings.Repeat("this is no film. ", 1000)), "not_media"},
		"truncated.mp4": {whole[:len(whole)/2], "truncated"},
		"empty.mp4":     {nil, "empty"},
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, c.body, 0o600); err != nil {
			t.Fatal(err)
		}
		j := p.order(p.nodes[0], api.JobOrder{Input: p.upload(file), Kind: "adaptive_video"})
		j = p.wait(j.ID, 2*time.Minute, "failed", "succeeded")
		if j.State != "failed" || j.Code != c.code && !(c.code == "truncated" && (j.Code == "not_media" || j.Code == "damaged")) || j.Reason == "" || j.Tries != 1 {
			t.Errorf("%s: %s %s %q after %d tries", name, j.State, j.Code, j.Reason, j.Tries)
		}
		p.told(j)
	}
	if left := p.Keys("vod/"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	p.clean()
}

// children are the ffmpegs that a server runs.
func children(n *rig.Process) (pids []int) {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(n.Cmd.Process.Pid)).Output()
	for _, f := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// long is a job that takes a while.
func (p *plant) long(file string) api.JobOrder {
	return api.JobOrder{Input: p.upload(file), Kind: "adaptive_video", Options: api.JobOptions{Ladder: []api.JobRung{{Name: "480p", Height: 480, VideoBitrate: 1_000_000}}}}
}

func longFilm(t *testing.T) string {
	t.Helper()
	return film(t, "long.mp4", "-f", "lavfi", "-i", "testsrc2=s=854x480:r=25:d=120", "-f", "lavfi", "-i", "sine=440:r=48000:d=120", "-shortest", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac")
}

// A job is canceled on one server while another runs it: nothing is listed, nothing is left, no ffmpeg runs on.
func TestCancel(t *testing.T) {
	rig.Need(t, "pgrep")
	t.Parallel()
	p := newPlant(t, 2)
	j := p.order(p.nodes[0], p.long(longFilm(t)))
	rig.Eventually(t, time.Minute, "it has put something", func() bool { return len(p.Keys("vod/long/")) > 0 })
	runs := p.nodes[0]
	if len(children(runs)) == 0 {
		runs = p.nodes[1]
	}
	other := p.nodes[0]
	if other == runs {
		other = p.nodes[1]
	}
	if status, said := ask(other, "DELETE", "/v1/jobs/"+j.ID, nil, &j); status != 200 || !j.Canceling {
		t.Errorf("%d %s", status, said)
	}
	j = p.wait(j.ID, time.Minute, "canceled", "succeeded")
	if left := p.Keys("vod/"); len(left) > 0 || j.State != "canceled" {
		t.Errorf("%s, left: %q", j.State, left)
	}
	rig.Eventually(t, 10*time.Second, "no ffmpeg runs on", func() bool { return len(children(runs)) == 0 })
	p.told(j)
	p.clean()
}

// An ffmpeg that is killed is another try, which says why there was one while it waits.
func TestEncoderIsKilled(t *testing.T) {
	rig.Need(t, "pgrep")
	t.Parallel()
	p := newPlant(t, 1)
	j := p.order(p.nodes[0], p.long(longFilm(t)))
	rig.Eventually(t, time.Minute, "an ffmpeg is killed", func() bool {
		for _, pid := range children(p.nodes[0]) {
			if j, _ := p.show(j.ID); j.Stage == "transcoding" && syscall.Kill(pid, syscall.SIGKILL) == nil {
				return true
			}
		}
		return false
	})
	again := p.wait(j.ID, time.Minute, "queued", "failed")
	if again.State != "queued" || again.Tries != 1 || again.Reason == "" {
		t.Errorf("%+v", again)
	}
	if _, listed, _ := p.Get("vod/long/master.m3u8"); listed.Size > 0 {
		t.Error("it is listed")
	}
	j = p.wait(j.ID, 3*time.Minute, "succeeded", "failed")
	if j.State != "succeeded" || j.Tries != 2 {
		t.Errorf("%+v", j)
	}
	p.packaged(j, 120*time.Second)
	p.told(j)
	p.clean()
}

// A file that grows in a watched directory, and one that is uploaded below a watched prefix: each becomes one job when it is whole, on one of
// two servers, of which one is started again meanwhile; and packages are never taken for new files.
func TestWatched(t *testing.T) {
	t.Parallel()
	up := t.TempDir()
	rig.Need(t, "ffmpeg", "ffprobe")
	v := rig.NewVault(t)
	p := &plant{Vault: v, hooks: newReceiver(t)}
	for range 2 {
		p.nodes = append(p.nodes, rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML()+fmt.Sprintf("jobs: {watch: [\"s3://%s/archive/\", \"file://%s\"]}\nwebhooks: [{url: \"http://%s/all\", secret: %q, events: [job.*]}]\n",
			v.At.Bucket, up, p.hooks.address, secret)))
	}
	files := kinds(t, 4)
	p.upload(files[3])
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(up, "grows.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	for part := range 8 {
		if _, err := f.Write(whole[part*len(whole)/8 : (part+1)*len(whole)/8]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
	}
	p.nodes[1].Kill()
	p.nodes[1].Start()
	var list struct{ Jobs []api.Job }
	rig.Eventually(t, 3*time.Minute, "both are done", func() bool {
		status, _ := ask(p.nodes[0], "GET", "/v1/jobs", nil, &list)
		done := 0
		for _, j := range list.Jobs {
			if j.State == "succeeded" {
				done++
			}
		}
		return status == 200 && done >= 2
	})
	t.Logf("done %v after the first byte", time.Since(began).Round(time.Second))
	time.Sleep(15 * time.Second) // for another look
	if ask(p.nodes[0], "GET", "/v1/jobs", nil, &list); len(list.Jobs) != 2 {
		t.Errorf("%d jobs: %+v", len(list.Jobs), list.Jobs)
	}
	for _, j := range list.Jobs {
		p.packaged(j, 4*time.Second)
		rig.Eventually(t, time.Minute, "its end is told", func() bool { return p.hooks.ids("/all", "job.succeeded", j.ID) == 1 })
		if want := map[bool]string{true: "vod/grows/", false: "vod/name-with-sp-ces/"}[strings.HasSuffix(j.Input, "grows.mp4")]; p.relative(j.Output) != want {
			t.Errorf("%s became %s", j.Input, j.Output)
		}
	}
	p.clean()
}

// The bucket of a server's own directory is full: the job is tried again, says why, and fails with what to do; nothing is listed.
func TestDiskFull(t *testing.T) {
	rig.Need(t, "ffmpeg", "ffprobe")
	if os.Getuid() != 0 {
		t.Skip("a small disk is mounted by root alone")
	}
	t.Parallel()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=600k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	up := t.TempDir()
	n := rig.Serve(t, dir, rig.Brisk+fmt.Sprintf("storage: {url: \"file://%s\"}\njobs: {inputs: [\"file://%s\"]}\n", disk, up))
	file := film(t, "big.mp4", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=10", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2M", "-g", "50", "-pix_fmt", "yuv420p")
	if err := os.Rename(file, filepath.Join(up, "big.mp4")); err != nil {
		t.Fatal(err)
	}
	var j api.Job
	if status, said := ask(n, "POST", "/v1/jobs", api.JobOrder{Input: "file://" + filepath.Join(up, "big.mp4"), Kind: "remux"}, &j); status != 200 {
		t.Fatal(said)
	}
	rig.Eventually(t, time.Minute, "a try has failed", func() bool {
		ask(n, "GET", "/v1/jobs/"+j.ID, nil, &j)
		return j.Reason != ""
	})
	if !strings.Contains(j.Reason, "free some room") {
		t.Errorf("%s", j.Reason)
	}
	if _, err := os.Stat(filepath.Join(disk, "vod", "big", "master.m3u8")); err == nil {
		t.Error("it is listed")
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=100m"); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 3*time.Minute, "there is room, and it is done", func() bool {
		ask(n, "GET", "/v1/jobs/"+j.ID, nil, &j)
		return j.State == "succeeded"
	})
}
