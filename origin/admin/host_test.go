package admin

import "testing"

func TestHosts(t *testing.T) {
	s := New(Options{Hosts: []string{"admin.example"}})
	for host, status := range map[string]int{
		"localhost": 200, "localhost:5081": 200, "LOCALHOST": 200, "a.localhost:80": 200, "127.0.0.1:5081": 200, "10.1.2.3": 200,
		"[::1]:5081": 200, "[::1]": 200, "admin.example": 200, "Admin.Example:5081": 200, "admin.example.": 200, // the root's dot says the same name
		"evil.example": 421, "evil.example:5081": 421, "localhost.evil.example": 421, "": 421, "1.2.3": 421, "xadmin.example": 421,
	} {
		if res, _ := get(t, s, host, "/api/streams"); res.StatusCode != status {
			t.Errorf("%q: %d, wanted %d", host, res.StatusCode, status)
		}
	}
	if n := s.Stats().RefusedHosts.Load(); n != 6 {
		t.Errorf("%d refusals counted, wanted 6", n)
	}
}
