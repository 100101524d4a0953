package configs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// MaxFile is the largest configuration that is read, in bytes. It bounds what a wrong path, say a video, can cost.
const MaxFile = 256 << 10

// maxDepth bounds the nesting of brackets; the deepest key of ours needs five.
const maxDepth = 64

// Load reads the file at path over the defaults, then the environment ("NAME=value", as os.Environ has it) over both. An
// empty path is no file, and what is no regular file, or no link to one, is not read. What is wrong comes back as Errors, all of it at once; the Config is then not for use.
func Load(path string, environ []string) (Config, error) {
	if path == "" {
		return Parse(nil, "", environ)
	}
	src, err := regular.Read(path, MaxFile)
	if errors.Is(err, regular.ErrTooLarge) {
		return Config{}, fmt.Errorf("configuration: %s is larger than %d bytes: this is hardly a configuration", path, MaxFile)
	}
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return Parse(src, path, environ)
}

// Parse is Load for a file that is in memory already; name stands for it in error messages.
func Parse(src []byte, name string, environ []string) (Config, error) {
	env := split(environ)
	d := &decoder{file: name, where: map[string]Error{}, lookup: env.lookup}
	c := Default()
	if root := d.parse(string(src)); root != nil {
		d.value(root, reflect.ValueOf(&c).Elem(), "")
	}
	d.environment(&c, env)
	if len(d.errs) == 0 { // what was not understood cannot be judged
		d.validate(c)
	}
	if len(d.errs) > 0 {
		return Config{}, d.errs.sorted()
	}
	return c, nil
}

// parse makes a syntax tree; nil where there is nothing, or nothing that can be read, which is reported then.
func (d *decoder) parse(src string) (root ast.Node) {
	if len(src) > MaxFile {
		d.fail(nil, "", "larger than %d bytes: this is hardly a configuration", MaxFile)
		return nil
	}
	if n := nesting(src); n > maxDepth {
		d.fail(nil, "", "brackets are nested %d deep: this is hardly a configuration", n)
		return nil
	}
	// The parser is somebody else's and the file may be anything: a slip of the one on the other is a message, not a crash.
	defer func() {
		if r := recover(); r != nil {
			root = nil
			d.fail(nil, "", "this is not YAML that can be read (%v)", r)
		}
	}()
	f, err := parser.ParseBytes([]byte(src), 0, parser.AllowDuplicateMapKey()) // duplicates are reported by us, with the others
	if err != nil {
		d.syntax(err, src)
		return nil
	}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if _, comment := doc.Body.(*ast.CommentGroupNode); comment {
			continue
		}
		if root != nil {
			d.fail(doc.Body, "", "a second document begins here: a configuration is one")
			return root
		}
		root = doc.Body
	}
	return root
}

func (d *decoder) syntax(err error, src string) {
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	e := &Error{File: d.file, Env: d.env, Text: "not YAML: " + err.Error()}
	if errors.As(err, &at) {
		e.Text = "not YAML: " + at.GetMessage()
		if t := at.GetToken(); t != nil && t.Position != nil && d.env == "" {
			e.Line = t.Position.Line
			if lines := strings.Split(src, "\n"); e.Line <= len(lines) && strings.HasPrefix(strings.TrimLeft(lines[max(e.Line, 1)-1], " "), "\t") {
				e.Text += ": indent with spaces, not with tabs"
			}
		}
	}
	d.errs = append(d.errs, e)
}

// nesting is the depth of brackets and of block sequences in one line, which is what a recursive parser's stack follows.
func nesting(src string) int {
	deepest, depth := 0, 0
	for l := range strings.Lines(src) {
		dashes := 0
		for _, r := range l {
			switch r {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			case '-', '?', ':':
				dashes++
			case ' ':
			default:
				dashes = 0
			}
			deepest = max(deepest, depth, dashes)
		}
	}
	return deepest
}
