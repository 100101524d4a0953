// Package buildinfo says what a program was built from: version, commit, date, Go version, platform. It reads what the linker and the
// go command left in the program, asks no git, and guesses nothing.
package buildinfo

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Linked is what the linker was told by -X; what it was not told is empty.
type Linked struct {
	Version string // "v1.2.3"
	Commit  string
	Date    string // of the commit, RFC 3339
}

// Info is what a program was built from. A field that nothing tells of is empty.
type Info struct {
	Version  string // "v1.2.3"; "(devel)" where nothing tells
	Commit   string // of the source: all of its hash, or as much of it as the version has
	Modified bool   // the source was not quite that commit
	Date     string // of the commit: RFC 3339, UTC
	Go       string // "go1.26.8"
	Platform string // "linux/amd64"
}

// Read returns the Info of the running program.
func Read(l Linked) Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	info := Of(b, l)
	info.Platform = cmp.Or(info.Platform, runtime.GOOS+"/"+runtime.GOARCH)
	return info
}

// pseudo is the end of a version that the go command made of a commit: v0.0.0-20261128202500-0123456789ab, with or without "+dirty".
var pseudo = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(\+.*)?$`)

// Of returns the Info of any program. What the linker was told comes first: it was told on purpose.
func Of(b *debug.BuildInfo, l Linked) Info {
	set := map[string]string{}
	for _, s := range b.Settings {
		set[s.Key] = s.Value
	}
	info := Info{
		Version: cmp.Or(l.Version, b.Main.Version, "(devel)"), Commit: cmp.Or(l.Commit, set["vcs.revision"]), Date: cmp.Or(l.Date, set["vcs.time"]),
		Modified: set["vcs.modified"] == "true", Go: b.GoVersion,
	}
	if set["GOOS"] != "" {
		info.Platform = set["GOOS"] + "/" + set["GOARCH"]
	}
	if m := pseudo.FindStringSubmatch(b.Main.Version); m != nil { // all that `go install module@commit` leaves
		if at, err := time.Parse("20060102150405", m[1]); err == nil {
			info.Commit, info.Date = cmp.Or(info.Commit, m[2]), cmp.Or(info.Date, at.Format(time.RFC3339))
		}
	}
	return info
}

// String is Info in lines, for people: what is not known is said to be so.
func (i Info) String() string {
	commit := cmp.Or(i.Commit, "unknown")
	if i.Modified {
		commit += ", modified"
	}
	var b strings.Builder
	for _, l := range [][2]string{{"commit", commit}, {"date", cmp.Or(i.Date, "unknown")}, {"go", i.Go}, {"platform", i.Platform}} {
		fmt.Fprintf(&b, "%-9s %s\n", l[0], l[1])
	}
	return "hlsorigin " + i.Version + "\n" + b.String()
}
