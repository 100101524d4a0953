package origin

import "strings"

// wantsGzip reads Accept-Encoding (RFC 9110 12.5.3). It chooses gzip if its weight is greater than zero and not less than that of an
// explicitly named identity. A client that refuses both gets identity: an answer it may not like serves a viewer better than 406.
func wantsGzip(accept string) bool {
	if accept == "gzip" { // the normalised form of CloudFront and most caches
		return true
	}
	gzip, identity, star := -1, -1, -1 // thousandths; -1: not named
	for accept != "" {
		var item string
		item, accept, _ = strings.Cut(accept, ",")
		name, params, _ := strings.Cut(item, ";")
		name = trim(name)
		switch q := quality(params); {
		case strings.EqualFold(name, "gzip") || strings.EqualFold(name, "x-gzip"):
			gzip = q
		case strings.EqualFold(name, "identity"):
			identity = q
		case name == "*":
			star = q
		}
	}
	if gzip < 0 {
		gzip = star
	}
	return gzip > 0 && gzip >= identity
}

// quality returns the weight among the parameters in thousandths: 1000 if there is none, 0 if it is malformed, so that a malformed weight
// never enables a coding.
func quality(params string) int {
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(trim(name), "q") {
			continue
		}
		value = trim(value)
		if value == "" || len(value) > 5 || value[0] != '0' && value[0] != '1' || len(value) > 1 && value[1] != '.' {
			return 0
		}
		q, unit := int(value[0]-'0')*1000, 100
		for i := 2; i < len(value); i++ {
			if value[i] < '0' || value[i] > '9' {
				return 0
			}
			q += int(value[i]-'0') * unit
			unit /= 10
		}
		return min(q, 1000)
	}
	return 1000
}

// trim removes optional whitespace (RFC 9110 5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }
