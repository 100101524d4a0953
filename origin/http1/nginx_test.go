package http1

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNginxNeverDesynchronises puts nginx in front of both ports, with keep-alive connections, and sends it every request of attempts with
// another behind it: that gets its own answer, or none, but never another's. The same holds for later requests on the connections that
// nginx has kept.
func TestNginxNeverDesynchronises(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	r := newRig(t, Options{})
	at := startNginx(t, program, r)
	for _, port := range []string{"plain", "TLS", "streaming"} {
		t.Run(port, func(t *testing.T) {
			passed, own := 0, 0
			for i, a := range attempts() {
				next := fmt.Sprintf("/next/%s/%d", port, i)
				c := dial(t, at(port), false)
				go io.WriteString(c, a.text()+"GET "+next+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				first, _, _ := strings.Cut(strings.TrimLeft(a.text(), "\r\n"), " ")
				got := replies(c, first, "GET", "GET")
				c.Close()
				if len(got) > 0 && got[0].asked != "" {
					passed++
					if strings.Contains(got[0].asked, "/next/") {
						t.Errorf("%s: was answered with %q", a.name, got[0].asked)
					}
				}
				if len(got) > 1 {
					own++
					if want := "1 " + next + "?"; got[1].status == 200 && got[1].asked != want {
						t.Errorf("%s: the next request got %q", a.name, got[1].asked)
					}
				}
				if len(got) > 2 {
					t.Errorf("%s: %d answers to two requests", a.name, len(got))
				}
				after := fmt.Sprintf("/after/%s/%d", port, i)
				c = dial(t, at(port), false)
				_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", after)
				if got := replies(c, "GET"); len(got) != 1 || got[0].asked != "1 "+after+"?" {
					t.Errorf("%s: whoever comes next gets %v", a.name, got)
				}
				c.Close()
			}
			t.Logf("%d requests passed nginx, %d second ones were answered", passed, own)
			if passed < 15 || own < 15 {
				t.Error("nginx lets next to nothing through")
			}
		})
	}
}

// startNginx runs nginx until the test ends; at returns the socket for a port.
func startNginx(t *testing.T, program string, r *rig) (at func(port string) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "nginx") // short: the path of a socket must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at = func(port string) string { return filepath.Join(dir, port) }
	const server = `
	server {
		listen unix:%s;
		location / {
			proxy_pass %s://%s;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_request_buffering %s;
		}
	}
`
	text := fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	large_client_header_buffers 4 64k;
	upstream plain { server %[2]s; keepalive 2; }
	upstream secure { server %[3]s; keepalive 2; }
`, dir, r.plain, r.secure) +
		fmt.Sprintf(server, at("plain"), "http", "plain", "on") +
		fmt.Sprintf(server, at("TLS"), "https", "secure", "on") +
		fmt.Sprintf(server, at("streaming"), "http", "plain", "off") + "}\n"
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("nginx says %.2000s", log)
		}
	})
	await(t, "nginx", func() bool {
		c, err := net.DialTimeout("unix", at("streaming"), time.Second)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return at
}
