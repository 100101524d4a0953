package storetest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Program is an S3 server in common use, which tests start if it is installed.
type Program struct {
	Name string
	// Lacks says in words which parts of the conformance suite the server fails, by the name of the part.
	Lacks map[string]string
	// Forgets says in words why nothing is left of what it had when it dies; empty for others.
	Forgets string
	// Slow: it needs seconds to start, or for a thousand requests, and is left to full test scale.
	Slow bool

	find    string // the executable
	install string // how to install it
	key     string
	secret  string
	health  string // a path that answers as soon as it serves
	// args returns its arguments, for a data directory that contains the bucket as a directory, and an address.
	args func(dir, bucket, host, port string) []string
	// asked: it makes the bucket when it is asked to, and knows no directory.
	asked bool
}

// Programs returns the servers that tests can start.
func Programs() []Program {
	return []Program{
		{
			Name: "versitygw", find: "versitygw", install: "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0",
			key: "storetest", secret: "storetest-secret", health: "/health",
			args: func(dir, _, host, port string) []string {
				return []string{"--port", host + ":" + port, "--access", "storetest", "--secret", "storetest-secret", "--keep-alive", "--health", "/health", "--quiet", "posix", dir}
			},
		},
		{
			Name: "s3rver", find: "s3rver", install: "npm install s3rver@3.7.1",
			key: "S3RVER", secret: "S3RVER", health: "/",
			args: func(dir, bucket, host, port string) []string {
				return []string{"-d", dir, "-a", host, "-p", port, "-s", "--no-vhost-buckets", "--configure-bucket", bucket}
			},
			Lacks: map[string]string{
				"if absent, many at once": "it ignores If-None-Match", "if absent": "it ignores If-None-Match",
				"if match": "it ignores If-Match", "if match, two at once": "it ignores If-Match",
				"readers and one writer": "it replaces a file in place", "list many": "it fails after the first page of a listing",
				"browse":  "it lists no folder that has nothing but folders in it",
				"missing": "keys are files: a key is no folder of others", "names": "keys are files: long ones are refused",
			},
		},
		{
			Name: "rclone", find: "rclone", install: "rclone 1.69.1, of rclone.org: Debian's is too old to know `serve s3`",
			key: "storetest", secret: "storetest-secret", health: "/",
			args: func(dir, _, host, port string) []string {
				return []string{"serve", "s3", "--auth-key", "storetest,storetest-secret", "--addr", host + ":" + port, "--vfs-cache-mode", "off", dir}
			},
			Lacks: map[string]string{
				"attributes": "it derives Content-Type from the name and keeps no Cache-Control", "if absent, many at once": "it ignores If-None-Match",
				"if match": "it ignores If-Match", "if match, two at once": "it ignores If-Match",
				"if absent": "it ignores If-None-Match", "readers and one writer": "it replaces a file in place", "missing": "keys are files: a key is no folder of others",
			},
		},
		{
			Name: "moto", find: "moto_server", install: "pip install 'moto[server]==5.2.1'",
			key: "storetest", secret: "storetest-secret", health: "/moto-api/", asked: true, Forgets: "it keeps everything in memory", Slow: true,
			args: func(_, _, host, port string) []string { return []string{"-H", host, "-p", port} },
			Lacks: map[string]string{
				"missing": "a missing object is 404 with a web page, which is not believed", "remove": "the same of a removal",
			},
		},
	}
}

// Start runs the server on a data directory, with one bucket. If addr is "" it uses a free port. The server ends with the test, or with
// Stop: at once, like kill -9. If the program is missing, or too old, the test is skipped with a message.
func (p Program) Start(t testing.TB, dir, addr string) Server {
	t.Helper()
	program := p.need(t)
	if addr == "" {
		addr = freeAddress(t)
	}
	s, err := p.launch(t, program, dir, addr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Full reports whether tests have their full length: HLSORIGIN_TEST_SCALE is 1 or more.
func Full() bool {
	scale, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64)
	return err == nil && scale >= 1
}

// need finds the executable.
func (p Program) need(t testing.TB) string {
	t.Helper()
	if p.Slow && !Full() {
		t.Skipf("%s is slow: it is left to HLSORIGIN_TEST_SCALE=1", p.Name)
	}
	program, err := exec.LookPath(p.find)
	if modules := os.Getenv("HLSORIGIN_TEST_NODE_MODULES"); err != nil && modules != "" {
		program, err = exec.LookPath(filepath.Join(modules, ".bin", p.find))
	}
	if err != nil {
		t.Skipf("needs the program %s: %s", p.find, p.install)
	}
	if p.Name == "rclone" && exec.Command(program, "serve", "s3", "--help").Run() != nil {
		t.Skipf("needs %s", p.install)
	}
	return program
}

// launch starts the server and waits until it answers.
func (p Program) launch(t testing.TB, program, dir, addr string) (Server, error) {
	t.Helper()
	s := Server{Endpoint: "http://" + addr, AccessKey: p.key, SecretKey: p.secret, Bucket: "bucket", Dir: dir}
	if !p.asked {
		if err := os.MkdirAll(filepath.Join(dir, s.Bucket), 0o777); err != nil {
			return s, err
		}
	}
	host, port := split(t, addr)
	var log lockedBuffer
	cmd := exec.Command(program, p.args(dir, s.Bucket, host, port)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return s, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s.Stop = func() {
		_ = cmd.Process.Kill() // may have ended by itself
		<-exited
	}
	t.Cleanup(s.Stop)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if res, err := client.Get(s.Endpoint + p.health); err == nil {
			res.Body.Close()
			if res.StatusCode < http.StatusInternalServerError {
				return s, p.makeBucket(client, s)
			}
		}
		select {
		case <-tick.C:
		case <-exited:
			return s, fmt.Errorf("%s ended at once: %s", p.Name, log.String())
		case <-deadline:
			s.Stop()
			return s, fmt.Errorf("%s does not answer: %s", p.Name, log.String())
		}
	}
}

// makeBucket asks for the bucket where the server knows no directory. None of those looks at who asks.
func (p Program) makeBucket(client *http.Client, s Server) error {
	if !p.asked {
		return nil
	}
	req, err := http.NewRequest(http.MethodPut, s.Endpoint+"/"+s.Bucket, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s makes no bucket: %s", p.Name, res.Status)
	}
	return nil
}

func split(t testing.TB, addr string) (host, port string) {
	t.Helper()
	if n, err := fmt.Sscanf(addr, "127.0.0.1:%s", &port); n != 1 {
		t.Fatalf("%s is no address of 127.0.0.1: %v", addr, err)
	}
	return "127.0.0.1", port
}
