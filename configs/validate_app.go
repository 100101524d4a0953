package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

const nameForm = "letters, digits, and then also . _ - (at most 128, no ..)"

func (d *decoder) app(key, name string, a App, base HLS) {
	switch {
	case !segmenter.ValidName(name):
		d.bad(key, "%q cannot be an app: %s", name, nameForm)
	case segmenter.ReservedApp(name):
		d.bad(key, "%q cannot be an app: the server answers at /%s itself", name, name)
	}
	d.oneOf(key+".publish", a.Publish, "", PublishOpen)
	if a.Publish == PublishOpen && len(a.Keys) > 0 {
		d.bad(key+".publish", "open lets anybody publish, so that keys would guard nothing: have one or the other")
	}
	d.keys(key+".keys", a)
	d.auth(key+".auth", a)
	d.groups(key+".groups", a)
	d.ladder(key+".ladder", a)
	d.even(key, a, a.HLS.Over(base))
	d.sessionData(key+".session_data", a)
	if a.HLS != (AppHLS{}) {
		d.hls(key+".hls", a.HLS.Over(base))
	}
	if a.Keep != 0 && a.Keep < Duration(time.Hour) {
		d.bad(key+".keep", "%s: at least 1h is needed; 0 keeps recordings for ever", a.Keep)
	}
}

// Bounds of an app's session data: players fetch all of it with every multivariant playlist.
const (
	maxSessionData  = 32
	maxSessionID    = 128  // characters
	maxSessionValue = 1024 // bytes
)

func (d *decoder) sessionData(key string, a App) {
	if len(a.SessionData) > maxSessionData {
		d.bad(key, "%d entries: at most %d", len(a.SessionData), maxSessionData)
	}
	for _, id := range slices.Sorted(maps.Keys(a.SessionData)) {
		at, value := join(key, id), a.SessionData[id]
		if !segmenter.ValidName(id) || len(id) > maxSessionID || !strings.Contains(id, ".") {
			d.bad(at, "%q cannot be a DATA-ID: it is a name in reverse DNS order, as com.example.title", id)
		}
		switch {
		case value == "" || len(value) > maxSessionValue || !utf8.ValidString(value):
			d.bad(at, "must be text of 1 to %d bytes", maxSessionValue)
		case strings.ContainsFunc(value, func(r rune) bool { return r == '"' || r < ' ' || r == 0x7f }):
			d.bad(at, "holds a double quote or a control character, which no playlist can carry")
		}
	}
}

// keys never shows a secret: the names tell which one is meant.
func (d *decoder) keys(key string, a App) {
	owner, public := map[string]string{}, map[string]bool{}
	for name := range a.Keys {
		public[hashKey(Secret(name))] = true
	}
	for _, name := range slices.Sorted(maps.Keys(a.Keys)) {
		secret, at := a.Keys[name], join(key, name)
		if !segmenter.ValidStream(name) {
			d.bad(at, "%q cannot be a stream: %s, not ending like a file of ours", name, nameForm)
		}
		if _, taken := a.Groups[name]; taken {
			d.bad(at, "a group has this name: a stream needs another")
		}
		hash := hashKey(secret)
		other, twice := owner[hash]
		switch {
		case secret == "":
			d.bad(at, "is empty: anybody could guess it")
		case hash == "":
			d.bad(at, "after %s there must be 64 hexadecimal digits, as `hlsorigin keys new` prints them", keyHash)
		case strings.ContainsFunc(string(secret), func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("/?&#", r) }):
			d.bad(at, "holds a space or one of / ? & #: encoders would cut the stream key there")
		case twice:
			d.bad(at, "is the same secret as that of %q: an encoder could not be told from the other", other)
		case public[hash]:
			d.bad(at, "is the public name of a stream: viewers know it")
		}
		owner[hash] = name
	}
}

func (d *decoder) groups(key string, a App) {
	member := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.Groups)) {
		at := join(key, name)
		if !segmenter.ValidStream(name) {
			d.bad(at, "%q cannot be a group: %s, not ending like a file of ours", name, nameForm)
		}
		if len(a.Groups[name]) == 0 {
			d.bad(at, "has no streams")
		}
		for i, stream := range a.Groups[name] {
			at := fmt.Sprintf("%s[%d]", at, i)
			_, isGroup := a.Groups[stream]
			switch {
			case !segmenter.ValidStream(stream):
				d.bad(at, "%q cannot be a stream: %s, not ending like a file of ours", stream, nameForm)
			case isGroup:
				d.bad(at, "%q is a group itself", stream)
			case member[stream] != "":
				d.bad(at, "%q is in group %q already", stream, member[stream])
			}
			member[stream] = name
		}
	}
}

// even refuses ladders in an app whose streams two servers make alike.
func (d *decoder) even(key string, a App, h HLS) {
	if h.Deterministic && (len(a.Groups) > 0 || len(a.Ladder) > 0) {
		d.bad(key, "hls.deterministic does not work for ladders, whose rungs wait for one another: set it for another app, or here to false")
	}
}

// maxRungs is how many rungs one source may have made of it.
const maxRungs = 8

func (d *decoder) ladder(key string, a App) {
	if len(a.Ladder) > 0 && len(a.Groups) > 0 {
		d.bad(key, "an app has groups or a ladder, not both: every stream of it becomes a ladder. Give one of them an app of its own")
	}
	d.rungs(key, a.Ladder)
}

// rungs checks the rungs of a ladder, each alone and beside the others.
func (d *decoder) rungs(key string, ladder []Rung) {
	if len(ladder) > maxRungs {
		d.bad(key, "%d rungs: at most %d", len(ladder), maxRungs)
	}
	seen := map[string]bool{}
	for i, r := range ladder {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !segmenter.ValidName(r.Name) || strings.Contains(r.Name, "_") || !segmenter.ValidStream("x_"+r.Name):
			d.bad(at+".name", "%q cannot be the name of a rung: letters, digits, and then also . and -, as in 720p", r.Name)
		case r.Name == "source" || r.Name == "audio":
			d.bad(at+".name", "%q is the name of a rung that is there anyway", r.Name)
		case seen[r.Name]:
			d.bad(at+".name", "%q is the name of another rung", r.Name)
		}
		seen[r.Name] = true
		if r.Height < 64 || r.Height > 4320 || r.Height%2 != 0 {
			d.bad(at+".height", "%d is not an even number from 64 to 4320", r.Height)
		}
		if r.Bitrate < 50_000 || r.Bitrate > 200_000_000 {
			d.bad(at+".bitrate", "%s is outside 50k to 200M", r.Bitrate)
		}
	}
}
