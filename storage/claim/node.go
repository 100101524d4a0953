package claim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// nodeFile is in a server's directory, and holds its name.
const nodeFile = ".node"

// Node returns the name of the server that owns a directory, its spool: the one that it was given there first, of the host's name and
// something that no other has. The directory must exist. Where the name cannot be read or kept it is a new one, and the error says why: what
// the server claimed before is then another's.
func Node(dir, host string) (string, error) {
	name := filepath.Join(dir, nodeFile)
	f, err := regular.OpenPlain(name, os.O_RDONLY)
	if err == nil {
		var data []byte
		data, err = regular.ReadAll(f, maxText)
		f.Close()
		if node := strings.TrimSuffix(string(data), "\n"); err == nil && plain(node) == node && node != "" {
			return node, nil
		}
	}
	node := NewNode(host)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return node, fmt.Errorf("read the name of this server: %w", err)
	}
	if err := keepName(dir, name, node); err != nil {
		return node, fmt.Errorf("keep the name of this server: %w", err)
	}
	return node, nil
}

// NewNode returns a name that no other server has.
func NewNode(host string) string {
	if host = plain(host); host == "" {
		host = "server"
	}
	return host[:min(len(host), 64)] + "-" + strings.ToLower(rand.Text()[:10])
}

// plain drops what has no place in a name.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, text)
}

// keepName writes the file as a whole, and durably: a claim must not outlive the name in it.
func keepName(dir, name, node string) error {
	temp := name + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, regular.Perm)
	if err != nil {
		return err
	}
	_, err = f.WriteString(node + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	return regular.SyncDir(dir)
}
