package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/test/docs"
)

// limit is a row of the table in docs/operations.md. Its value is a setting's default, or is read from the code.
type limit struct {
	what  string
	value any    // an int, a duration, a size, or a source
	by    string // the setting; empty: it is fixed
	then  string // what happens beyond it
}

// source is a constant of a package, or the default of a field of its Options.
type source struct {
	folder, name string
	bytes        bool
}

// limitRows are the limits of what strangers, publishers and operators reach, in the order of the table. Those of viewers are
// in docs/http.md.
func limitRows() []limit {
	c := configs.Default()
	closed, refused := "closed", "refused"
	return []limit{
		{"connections to RTMP, and as many to RTMPS", c.RTMP.MaxConnections, "rtmp.max_connections", "the longest waiting goes; if all publish, the newcomer"},
		{"the same of one address (IPv6: /64), loopback left out", c.RTMP.MaxConnectionsPerAddress, "rtmp.max_connections_per_address", "the same, among those of the address"},
		{"connections to RTSP, and as many to RTSPS", c.RTSP.MaxConnections, "rtsp.max_connections", "the same"},
		{"the same of one address", c.RTSP.MaxConnectionsPerAddress, "rtsp.max_connections_per_address", "the same"},
		{"connections for HLS by PUT, and as many over TLS", c.IngestHTTP.MaxConnections, "ingest_http.max_connections", "the same"},
		{"the same of one address", c.IngestHTTP.MaxConnectionsPerAddress, "ingest_http.max_connections_per_address", "the same"},
		{"connections to the admin port", source{"cmd/hlsorigin", "maxAdminConnections", false}, "", "the longest waiting goes"},
		{"the same of one address", source{"cmd/hlsorigin", "maxAdminConnectionsPerAddress", false}, "", "the same"},
		{"connections of viewers", c.HTTP.MaxConnections, "http.max_connections", "see [http.md](http.md#limits)"},
		{"time to publish, from the connection on, RTMP", source{"ingest/rtmp", "SetupTimeout", false}, "", closed},
		{"time to record, from the connection on, RTSP", source{"ingest/rtsp", "DefaultHandshakeTimeout", false}, "", closed},
		{"a publisher that sends nothing, RTMP", c.RTMP.IdleTimeout.Std(), "rtmp.idle_timeout", "ended"},
		{"a publisher that sends nothing, RTSP", c.RTSP.IdleTimeout.Std(), "rtsp.idle_timeout", "ended"},
		{"a publisher that sends nothing, HLS by PUT", c.IngestHTTP.IdleTimeout.Std(), "ingest_http.idle_timeout", "ended, but not before three segments' time"},
		{"one segment by PUT", c.IngestHTTP.MaxSegment, "ingest_http.max_segment", refused},
		{"one playlist by PUT", source{"ingest/httpput", "MaxPlaylist", true}, "", refused},
		{"time for one body by PUT", source{"ingest/httpput", "BodyTimeout", false}, "", refused},
		{"the same without a byte", source{"ingest/httpput", "StallLimit", false}, "", refused},
		{"segments of a sender by PUT that wait in memory", source{"ingest/httpput", "MaxHeld", false}, "", "the longest waiting that nothing names goes; else refused"},
		{"the same on disk: how long it waits for the disk", source{"storage/held", "patience", false}, "", "in memory alone, counted, one line"},
		{"what the process before had of them: how long it waits for its sender", source{"ingest/httpput", "HeldFor", false}, "", "let go, counted"},
		{"what comes without a publish, RTMP", source{"ingest/rtmp", "maxStray", true}, "", closed},
		{"one message before a publish", source{"ingest/rtmp", "strangerMessage", true}, "", closed},
		{"unfinished messages before a publish", source{"ingest/rtmp", "strangerHeld", true}, "", closed},
		{"one message of a publisher", source{"ingest/rtmp", "MaxMessage", true}, "", "ended"},
		{"unfinished messages of a publisher", source{"ingest/rtmp", "MaxHeld", true}, "", "ended"},
		{"chunk streams of a connection", source{"ingest/rtmp", "MaxChunkStreams", false}, "", closed},
		{"commands without media between them", source{"ingest/rtmp", "MaxCommands", false}, "", closed},
		{"message streams of a connection", source{"ingest/rtmp", "MaxStreams", false}, "", refused},
		{"requests without recording, RTSP", source{"ingest/rtsp", "maxRequests", false}, "", closed},
		{"what comes without recording, RTSP", source{"ingest/rtsp", "maxUnrecorded", true}, "", closed},
		{"body of a request (SDP)", source{"ingest/rtsp", "maxBody", true}, "", refused},
		{"packets of a UDP publisher that wait", source{"ingest/rtsp", "DefaultMaxQueuedPackets", false}, "", "dropped, counted, one line"},
		{"frames of an RTSP publisher that wait for the other track", source{"ingest/rtsp", "DefaultMaxHeldBytes", true}, "", "handed on as they are"},
		{"a picture", source{"ingest/normalise", "maxPictureBytes", true}, "", "dropped, counted"},
		{"wrong credentials of an address in a row", source{"ingest/attempts", "Burst", false}, "", "a pause, in which all are refused"},
		{"in which one of them is forgiven", source{"ingest/attempts", "Every", false}, "", ""},
		{"the first pause, which doubles", source{"ingest/attempts", "MinPause", false}, "", ""},
		{"the longest pause", source{"ingest/attempts", "MaxPause", false}, "", ""},
		{"addresses and keys that are counted", source{"ingest/attempts", "MaxKeys", false}, "", "the least recent is forgotten"},
		{"questions to a callback under way", source{"ingest/auth", "maxAsking", false}, "", "refused: try again later"},
		{"an answer of a callback", source{"ingest/auth", "maxAnswer", true}, "", "refused: try again later"},
		{"answers of callbacks kept", source{"ingest/auth", "maxCached", false}, "", "asked each time"},
		{"a set of public keys", source{"ingest/auth", "jwksMax", true}, "", "the last good one stays"},
		{"time for a PROXY header", source{"ingest/listen", "Timeout", false}, "", closed},
		{"connections that wait for their PROXY header", source{"ingest/listen", "MaxWait", false}, "", closed},
		{"streams live at once", max(1000, c.RTMP.MaxConnections+c.RTSP.MaxConnections), "the sum of the above, at least 1000", refused},
		{"request head on the admin port", source{"origin/admin", "maxHeader", true}, "", "431"},
		{"syncs, profiles and pages that watch on the admin port, under way", source{"origin/admin", "maxLong", false}, "", "503"},
		{"body of a request to the API", source{"origin/admin/api", "maxBody", true}, "", "413"},
		{"listeners to the API's events, and pages that watch", source{"origin/admin/api", "maxListeners", false}, "", "503"},
		{"time to look through the bucket, or to verify, for the API", source{"origin/admin/api", "maxLook", false}, "", "503, or a list that says so"},
		{"wait for the bucket, by the API", source{"origin/admin/api", "maxSync", false}, "", "422"},
		{"lines of log with one message about one thing, at once", source{"cmd/hlsorigin/loglimit", "burstOne", false}, "", "counted"},
		{"and then one more in", source{"cmd/hlsorigin/loglimit", "everyOne", false}, "", ""},
		{"lines of log with one message about whatever, at once", source{"cmd/hlsorigin/loglimit", "burstAll", false}, "", "counted"},
		{"a value in the log", source{"cmd/hlsorigin/loglimit", "maxValue", true}, "", "cut"},
	}
}

// TestDocumentationListsTheLimits keeps the table in docs/operations.md; -update rewrites it.
func TestDocumentationListsTheLimits(t *testing.T) {
	code := map[string]*constants{}
	var b strings.Builder
	b.WriteString("| limit | value | setting | beyond it |\n|---|---|---|---|\n")
	for _, l := range limitRows() {
		value := fmt.Sprint(l.value)
		switch v := l.value.(type) {
		case time.Duration:
			value = length(v)
		case source:
			if code[v.folder] == nil {
				code[v.folder] = readConstants(t, filepath.Join("../..", v.folder))
			}
			value = code[v.folder].show(t, v)
		}
		by := ""
		if l.by != "" {
			by = "`" + l.by + "`"
			if strings.Contains(l.by, " ") {
				by = l.by
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", l.what, value, by, l.then)
	}
	docs.Section(t, "../../docs/operations.md", "<!-- limits -->", "<!-- end of limits -->", b.String(), *updateDocs)
}

// constants are what the files of a package say: constants, and what the fields of Options are set to where they are zero.
type constants struct {
	exprs map[string]ast.Expr
}

func readConstants(t *testing.T, folder string) *constants {
	t.Helper()
	c := &constants{exprs: map[string]ast.Expr{}}
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				if n.Tok != token.CONST {
					break
				}
				for _, s := range n.Specs {
					if s := s.(*ast.ValueSpec); len(s.Names) == len(s.Values) {
						for i := range s.Names {
							c.exprs[s.Names[i].Name] = s.Values[i]
						}
					}
				}
			case *ast.CallExpr: // setDefault(&o.Field, value)
				if fn, ok := n.Fun.(*ast.Ident); ok && fn.Name == "setDefault" && len(n.Args) == 2 {
					if u, ok := n.Args[0].(*ast.UnaryExpr); ok {
						c.exprs[u.X.(*ast.SelectorExpr).Sel.Name] = n.Args[1]
					}
				}
			case *ast.AssignStmt: // o.Field = value
				if field, ok := n.Lhs[0].(*ast.SelectorExpr); ok && len(n.Lhs) == 1 && len(n.Rhs) == 1 {
					if x, ok := field.X.(*ast.Ident); ok && x.Name == "o" && c.exprs[field.Sel.Name] == nil {
						c.exprs[field.Sel.Name] = n.Rhs[0]
					}
				}
			}
			return true
		})
	}
	return c
}

// show is a value as the table has it.
func (c *constants) show(t *testing.T, s source) string {
	t.Helper()
	e, ok := c.exprs[s.name]
	if !ok {
		t.Fatalf("%s has no %s", s.folder, s.name)
	}
	isTime := false
	v, ok := constant.Int64Val(c.value(t, e, &isTime))
	switch {
	case !ok:
		t.Fatalf("%s.%s is no number", s.folder, s.name)
	case isTime:
		return length(time.Duration(v))
	case s.bytes && v%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", v>>20)
	case s.bytes && v%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", v>>10)
	case s.bytes:
		return fmt.Sprintf("%d bytes", v)
	}
	return fmt.Sprint(v)
}

func (c *constants) value(t *testing.T, e ast.Expr, isTime *bool) constant.Value {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.ParenExpr:
		return c.value(t, e.X, isTime)
	case *ast.Ident:
		if of, ok := c.exprs[e.Name]; ok {
			return c.value(t, of, isTime)
		}
	case *ast.SelectorExpr:
		if unit, ok := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name]; ok {
			*isTime = true
			return constant.MakeInt64(int64(unit))
		}
	case *ast.BinaryExpr:
		x, y := c.value(t, e.X, isTime), c.value(t, e.Y, isTime)
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(n))
		}
		return constant.BinaryOp(x, e.Op, y)
	}
	t.Fatalf("%T is no constant", e)
	return nil
}

// length is a duration as people write it.
func length(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d%u.unit == 0 && d >= u.unit {
			return fmt.Sprintf("%d %s", d/u.unit, u.name)
		}
	}
	return d.String()
}
