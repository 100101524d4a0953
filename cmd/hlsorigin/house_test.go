package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/configs"
)

const module = "github.com/hlsorigin/hlsorigin"

// mayImport is the plan of the house: data runs left to right through ingest, segmenter, origin and storage, imports run
// right to left, and the siblings origin and storage never meet. A name that ends in /... stands for all below it.
var mayImport = map[string][]string{
	"ingest/codec":           nil,
	"ingest":                 {"ingest/codec"},
	"ingest/...":             {"ingest", "ingest/codec", "ingest/listen", "ingest/normalise"},
	"ingest/attempts":        nil,
	"ingest/auth":            {"ingest", "ingest/attempts"},
	"ingest/ffmpeg":          nil,
	"ingest/file":            {"ingest/codec"},
	"ingest/httpput":         {"ingest", "ingest/codec", "ingest/normalise", "segmenter/m3u8", "segmenter/mpegts"}, // what is sent to it are those formats
	"ingest/transcode":       {"ingest", "ingest/codec", "ingest/ffmpeg", "ingest/rtmp/flv", "segmenter/mpegts"},   // ffmpeg's two sides, both of them pure formats
	"segmenter/mpegts":       {"ingest/codec"},
	"segmenter/m3u8":         nil,
	"segmenter/fmp4":         {"ingest/codec", "segmenter/mpegts"},
	"segmenter/cmaf":         {"ingest/codec", "segmenter", "segmenter/fmp4", "segmenter/m3u8", "segmenter/mpd", "segmenter/mpegts", "segmenter/variant"},
	"segmenter/mpd":          nil,
	"segmenter/cue":          {"segmenter/m3u8", "segmenter/mpegts"},
	"segmenter/pair":         {"ingest", "ingest/codec", "segmenter/cut", "segmenter/mpegts"},
	"segmenter/cut":          {"ingest", "ingest/codec"},
	"segmenter/grid":         {"ingest/codec", "segmenter/cut"},
	"segmenter/intake":       {"ingest", "ingest/codec", "segmenter/cut"},
	"segmenter/id3":          nil,
	"segmenter/variant":      {"ingest", "ingest/codec", "segmenter/cut", "segmenter/m3u8", "segmenter/mpegts"},
	"segmenter/vitals":       {"ingest", "ingest/codec"},
	"segmenter/whole":        {"ingest", "ingest/codec", "segmenter/cut", "segmenter/mpegts"},
	"segmenter":              {"ingest", "ingest/codec", "segmenter/intake", "segmenter/cue", "segmenter/cut", "segmenter/grid", "segmenter/id3", "segmenter/mpegts", "segmenter/m3u8", "segmenter/pair", "segmenter/variant", "segmenter/vitals", "segmenter/whole"},
	"segmenter/watch":        {"segmenter"},
	"segmenter/vod":          {"ingest/codec", "ingest/ffmpeg", "ingest/file", "segmenter/fmp4", "segmenter/m3u8", "segmenter/mpd", "segmenter/mpegts"},
	"origin":                 {"ingest/codec", "segmenter", "segmenter/cmaf", "segmenter/fmp4", "segmenter/m3u8", "segmenter/mpegts", "origin/http1", "origin/directive", "origin/remote"},
	"origin/directive":       {"segmenter"},
	"origin/remote":          {"segmenter"},
	"origin/http1":           nil,
	"origin/admin":           nil,
	"origin/admin/api":       {"origin/admin"},
	"origin/webhook":         nil,
	"origin/peer":            nil,
	"origin/cloudfront":      nil,
	"storage/outbox":         {"storage/regular"},
	"storage/regular":        nil,
	"storage/spool":          {"storage/regular"},
	"storage/held":           {"storage/episode", "storage/regular"},
	"storage":                {"segmenter"}, // for the table of object kinds
	"storage/pace":           {"storage"},
	"storage/episode":        nil,
	"storage/pages":          {"storage/spool"},
	"storage/recheck":        {"storage"},
	"storage/tracks":         {"segmenter", "segmenter/cmaf", "segmenter/fmp4", "segmenter/m3u8", "segmenter/mpegts", "storage"},
	"storage/fence":          {"storage"},
	"storage/claim":          {"storage", "storage/regular"},
	"storage/ending":         {"segmenter", "segmenter/m3u8", "storage"},
	"storage/gate":           {"ingest", "segmenter", "segmenter/pair", "storage", "storage/claim", "storage/mirror", "storage/roster", "storage/takeover"},
	"storage/takeover":       {"ingest/codec", "segmenter", "segmenter/m3u8", "segmenter/variant", "storage", "storage/spool"},
	"storage/mirror":         {"segmenter", "segmenter/cmaf", "segmenter/m3u8", "segmenter/mpegts", "segmenter/variant", "storage", "storage/claim", "storage/ending", "storage/episode", "storage/fence", "storage/pace", "storage/pages", "storage/recheck", "storage/shared", "storage/spool", "storage/takeover", "storage/tracks"},
	"storage/shared":         {"segmenter", "storage", "storage/claim", "storage/fence", "storage/recheck"},
	"storage/ladder":         {"segmenter", "segmenter/cmaf", "segmenter/m3u8", "storage", "storage/claim", "storage/episode", "storage/mirror", "storage/pages", "storage/recheck", "storage/shared", "storage/spool", "storage/tracks"},
	"storage/roster":         {"storage"},
	"storage/jobs":           {"storage"},
	"storage/arrivals":       {"storage"},
	"storage/sqs":            {"storage"},
	"storage/source":         {"segmenter", "storage", "storage/library", "storage/regular"},
	"storage/library":        {"segmenter", "segmenter/cmaf", "segmenter/fmp4", "segmenter/m3u8", "segmenter/mpegts", "storage", "storage/tracks"},
	"storage/readback":       {"segmenter", "storage", "storage/spool"},
	"storage/s3":             {"storage"},
	"storage/dir":            {"storage", "storage/regular"},
	"storage/storetest":      {"storage"},
	"configs":                {"segmenter", "storage/regular"},
	"cmd/hlsorigin/budget":   nil,
	"cmd/hlsorigin/democlip": nil,
	"cmd/...":                {"..."},
	"bench/...":              {"..."},
	"test/browser":           nil,
	"test/limits":            {"ingest/rtmp/rtmpclient", "segmenter/m3u8"},
	"test/docs":              nil,
	"test/...":               {"..."}, // tests of the whole program look at it from everywhere

	"cmd/hlsorigin/buildinfo": nil,
	"cmd/hlsorigin/health":    {"configs", "cmd/hlsorigin/control"},
	"cmd/release":             {"configs"}, // for the hls.js that is pinned
}

// nested are the folders that may also import what lies below them, or, within one server, beside them: ingest/rtmp/client.
var nested = []string{"ingest/rtmp", "ingest/rtsp"}

// testRig is what tests of the whole program are made of. It is held to be a test: it keeps what all tests of a package share,
// as the built program, and asks for the time. testDocs is one of their tools, too, and writes documentation.
const testRig, testDocs = "test/rig", "test/docs"

// house is the tree's Go code, parsed.
type house struct {
	fset     *token.FileSet
	packages map[string][]*file // by folder, slashed, relative to the module
}

type file struct {
	name string // relative to the module
	test bool
	ast  *ast.File
}

func openHouse(t *testing.T) *house {
	t.Helper()
	const root = "../.."
	h := &house{fset: token.NewFileSet(), packages: map[string][]*file{}}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if n := e.Name(); p != root && (strings.HasPrefix(n, ".") || slices.Contains([]string{"testdata", "node_modules", "web", "data"}, n)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(h.fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		h.packages[path.Dir(name)] = append(h.packages[path.Dir(name)], &file{name, strings.HasSuffix(name, "_test.go") || path.Dir(name) == testRig || path.Dir(name) == testDocs, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.packages) < 5 {
		t.Fatalf("only %d packages found: is this test where it was?", len(h.packages))
	}
	return h
}

// at is "storage/retry.go:12".
func (h *house) at(f *file, n ast.Node) string {
	return f.name + ":" + regexp.MustCompile(`^.*?:(\d+):\d+$`).ReplaceAllString(h.fset.Position(n.Pos()).String(), "$1")
}

// each visits every node of code that is no test.
func (h *house) each(visit func(folder string, f *file, n ast.Node)) {
	for _, folder := range slices.Sorted(maps.Keys(h.packages)) {
		for _, f := range h.packages[folder] {
			if f.test {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if n != nil {
					visit(folder, f, n)
				}
				return true
			})
		}
	}
}

func under(folder string, tops ...string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") })
}

// allowed finds a folder's row of the table.
func allowed(folder string) (row []string, ok bool) {
	if row, ok = mayImport[folder]; ok {
		return row, true
	}
	for top := folder; top != "."; top = path.Dir(top) {
		if row, ok = mayImport[top+"/..."]; ok {
			return row, true
		}
	}
	return nil, false
}

func TestImports(t *testing.T) {
	h := openHouse(t)
	for _, folder := range slices.Sorted(maps.Keys(h.packages)) {
		if _, ok := allowed(folder); !ok {
			t.Errorf("package %s is not in the table of mayImport: say there what it may know", folder)
		}
	}
	h.each(func(folder string, f *file, n ast.Node) {
		spec, ok := n.(*ast.ImportSpec)
		if !ok {
			return
		}
		imported := strings.Trim(spec.Path.Value, `"`)
		row, _ := allowed(folder)
		if imported == module+"/"+testRig || imported == module+"/"+testDocs {
			t.Errorf("%s: %s is for tests alone", h.at(f, n), imported)
		}
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			sameServer := slices.ContainsFunc(nested, func(top string) bool { return under(folder, top) && under(ours, top) })
			if !slices.Contains(row, ours) && !slices.Contains(row, "...") && !sameServer {
				t.Errorf("%s: %s must not import %s. It may know %v of ours: let it take an interface of its own, and let cmd/hlsorigin hand the other in", h.at(f, n), folder, ours, row)
			}
			return
		}
		switch {
		case imported == "net/http" && under(folder, "segmenter"):
			t.Errorf("%s: the segmenter knows no HTTP: what answers requests belongs to origin", h.at(f, n))
		case strings.HasPrefix(imported, "github.com/aws/") && folder != "storage/s3" && folder != "storage/sqs":
			t.Errorf("%s: the AWS SDK belongs to storage/s3 and storage/sqs alone: add what you need to an interface of storage", h.at(f, n))
		case strings.HasPrefix(imported, "github.com/prometheus/") && !under(folder, "cmd"):
			t.Errorf("%s: packages count in a Stats struct of their own: cmd/hlsorigin makes metrics of it", h.at(f, n))
		case strings.HasSuffix(imported, "/go-yaml") && folder != "configs":
			t.Errorf("%s: YAML is read by configs alone: take an Options struct", h.at(f, n))
		}
	})
}

// TestImportsAreDocumented holds the table of docs/architecture.md to that of mayImport. What stands behind a semicolon is said to people.
func TestImportsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	names := func(cell string) (all []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			all = append(all, strings.ReplaceAll(m[1], "…", "..."))
		}
		slices.Sort(all)
		return all
	}
	said := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.HasPrefix(line, "| `") {
			continue
		}
		row, _, _ := strings.Cut(cells[2], ";")
		for _, folder := range names(cells[1]) {
			want, ok := mayImport[folder]
			if !ok {
				continue
			}
			said[folder] = true
			if got := names(row); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("docs/architecture.md says of %s that it may import %v, and it may import %v", folder, got, want)
			}
		}
	}
	for folder := range mayImport {
		if !said[folder] && !under(folder, "cmd", "bench", "test") {
			t.Errorf("docs/architecture.md does not say what %s may import", folder)
		}
	}
}

// maxFiles is how many files of code a package may have before it is two packages.
const maxFiles = 25

func TestPackagesStaySmall(t *testing.T) {
	h := openHouse(t)
	for folder, files := range h.packages {
		n := 0
		for _, f := range files {
			if !f.test {
				n++
			}
		}
		if n > maxFiles {
			t.Errorf("%s has %d files, more than %d: it holds more than one idea, split it", folder, n, maxFiles)
		}
	}
}

// writers are the functions of os that change a file system.
var writers = []string{"Create", "OpenFile", "WriteFile", "Rename", "Remove", "RemoveAll", "Mkdir", "MkdirAll", "MkdirTemp", "CreateTemp",
	"Truncate", "Chmod", "Chown", "Chtimes", "Link", "Symlink", "OpenRoot"}

// clocks are the places that may ask what time it is: where frames come in, in cmd, where storage waits for a store, and
// where it takes the time of a store's answer, and the HTTP engine, whose deadlines are the system's. Others are handed a clock, and may name time.Now as the one to fall back to.
var clocks = []string{"ingest", "cmd", "bench", "storage/retry.go", "storage/measure.go", "origin/http1"}

// keepers are the structs that may hold a context: what lives exactly as long as one Run or one Serve, and a cache whose
// fetches go on for the next reader when the first has left. So may every io.Reader, since Read has no place for one.
var keepers = map[string][]string{
	"storage/readback": {"Cache"},
}

func TestSideEffectsStayAtTheirPlace(t *testing.T) {
	h := openHouse(t)
	h.each(func(folder string, f *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if pkg, name := qualified(n); pkg == "os" && slices.Contains(writers, name) && !under(folder, "storage", "cmd", "bench") {
				t.Errorf("%s: os.%s: files are written by storage alone (and by cmd)", h.at(f, n), name)
			}
		case *ast.CallExpr:
			pkg, name := qualified(n.Fun)
			if pkg == "time" && slices.Contains([]string{"Now", "Since", "Until"}, name) && !under(folder, clocks...) && !slices.Contains(clocks, f.name) {
				t.Errorf("%s: time.%s: time enters at the edges: take now func() time.Time in Options, or a time as argument", h.at(f, n), name)
			}
		}
	})
}

// qualified is pkg.Name taken apart, two empty strings where e is something else.
func qualified(e ast.Expr) (pkg, name string) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok || id.Obj != nil { // a local variable that is called like a package
		return "", ""
	}
	return id.Name, sel.Sel.Name
}

func TestNoInit(t *testing.T) {
	h := openHouse(t)
	h.each(func(_ string, f *file, n ast.Node) {
		if d, ok := n.(*ast.FuncDecl); ok && d.Name.Name == "init" && d.Recv == nil {
			t.Errorf("%s: no init: do it where a constructor can be told and can fail", h.at(f, d))
		}
	})
}

func TestNoContextInAStruct(t *testing.T) {
	h := openHouse(t)
	readers := map[string]bool{} // "folder.Type"
	h.each(func(folder string, _ *file, n ast.Node) {
		if d, ok := n.(*ast.FuncDecl); ok && d.Name.Name == "Read" && d.Recv != nil && len(d.Recv.List) == 1 {
			typ := d.Recv.List[0].Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if id, ok := typ.(*ast.Ident); ok {
				readers[folder+"."+id.Name] = true
			}
		}
	})
	h.each(func(folder string, f *file, n ast.Node) {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || readers[folder+"."+spec.Name.Name] || slices.Contains(keepers[folder], spec.Name.Name) {
			return
		}
		ast.Inspect(spec.Type, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				if pkg, name := qualified(field.Type); pkg == "context" && name == "Context" {
					t.Errorf("%s: no context in a struct: hand it to each call that may wait", h.at(f, field))
				}
			}
			return true
		})
	})
}

// TestSessionsPassOnWhatIsAwaited: a session that stands in front of another hides that one's optional interface, unless it has it itself; then
// low latency is served late, and nothing else shows it.
func TestSessionsPassOnWhatIsAwaited(t *testing.T) {
	h := openHouse(t)
	has, sessions := map[string]bool{}, map[string]string{} // "folder.Type"
	h.each(func(folder string, f *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv != nil && n.Name.Name == "Awaited" {
				has[folder+"."+strings.TrimPrefix(types.ExprString(n.Recv.List[0].Type), "*")] = true
			}
		case *ast.TypeSpec:
			s, ok := n.Type.(*ast.StructType)
			if !ok {
				return
			}
			for _, field := range s.Fields.List {
				if pkg, name := qualified(field.Type); pkg == "ingest" && name == "Session" && len(field.Names) == 0 {
					sessions[folder+"."+n.Name.Name] = h.at(f, field)
				}
			}
		}
	})
	if len(sessions) == 0 {
		t.Error("no session in front of another was found")
	}
	for name, at := range sessions {
		if !has[name] {
			t.Errorf("%s: %s hides ingest.Awaiting of the session in it: pass Awaited on", at, name)
		}
	}
}

// TestNoGlobalState finds variables of a package that anything in it changes, or whose type is made to be changed. Tables
// and sentinel errors that are only read are no state.
func TestNoGlobalState(t *testing.T) {
	h := openHouse(t)
	globals := map[string]map[string]*ast.ValueSpec{} // folder → name
	for folder, files := range h.packages {
		globals[folder] = map[string]*ast.ValueSpec{}
		for _, f := range files {
			if f.test {
				continue
			}
			for _, d := range f.ast.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.VAR {
					continue
				}
				for _, s := range g.Specs {
					spec := s.(*ast.ValueSpec)
					for _, name := range spec.Names {
						globals[folder][name.Name] = spec
					}
					if lock(spec) {
						t.Errorf("%s: a package has no state of its own: put it into a struct that somebody owns", h.at(f, spec))
					}
				}
			}
		}
	}
	h.each(func(folder string, f *file, n ast.Node) {
		var changed []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				changed = n.Lhs
			}
		case *ast.IncDecStmt:
			changed = []ast.Expr{n.X}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed = []ast.Expr{n.X}
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"delete", "clear", "copy"}, fn.Name) && len(n.Args) > 0 {
				changed = n.Args[:1]
			}
		}
		for _, x := range changed {
			id := root(x)
			if id == nil || id.Name == "_" {
				continue
			}
			spec, ok := globals[folder][id.Name]
			if ok && (id.Obj == nil || id.Obj.Decl == any(spec)) {
				t.Errorf("%s: this changes %s, a variable of the package: put it into a struct that somebody owns", h.at(f, n), id.Name)
			}
		}
	})
}

// lock tells whether a variable is of a type that exists to be changed: of sync or atomic, or a channel.
func lock(spec *ast.ValueSpec) bool {
	found := false
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ChanType:
			found = true
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && (id.Name == "sync" && n.Sel.Name != "OnceValue" || id.Name == "atomic") {
				found = true
			}
		case *ast.FuncLit:
			return false
		}
		return true
	}
	if spec.Type != nil {
		ast.Inspect(spec.Type, look)
	}
	for _, v := range spec.Values {
		ast.Inspect(v, look)
	}
	return found
}

// root is x of x.f[i].g.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	h := openHouse(t)
	for folder, files := range h.packages {
		comment, name, code := "", "", false
		for _, f := range files {
			if f.test {
				continue
			}
			code, name = true, f.ast.Name.Name
			if d := f.ast.Doc.Text(); d != "" {
				if comment != "" {
					t.Errorf("%s: the package has two comments, the other elsewhere", f.name)
				}
				comment = d
			}
		}
		begin := "Package " + name + " "
		if name == "main" {
			begin = "Command " + path.Base(folder) + " "
		}
		if code && (!strings.HasPrefix(comment, begin) || len(comment) < 100) {
			t.Errorf("%s: a package comment begins with %q and says what it is for, and what it refuses to do", folder, begin)
		}
	}
}

// The pinned hls.js stands in the Makefile, which fetches it, and in the defaults, by which pages load it.
func TestPinnedPlayerIsOne(t *testing.T) {
	mk, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `\s*:=\s*(\S+)$`).FindSubmatch(mk)
		if m == nil {
			t.Fatalf("the Makefile does not say %s", name)
		}
		return string(m[1])
	}
	d := configs.Default().Admin.HLSJS
	if !strings.Contains(d.URL, "/hls.js@"+value("HLSJS_VERSION")+"/") || d.Integrity != value("HLSJS_INTEGRITY") {
		t.Errorf("defaults load %s with %s, the Makefile fetches %s with %s", d.URL, d.Integrity, value("HLSJS_VERSION"), value("HLSJS_INTEGRITY"))
	}
}
