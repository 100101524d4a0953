package cloudfront

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// numbers collects all whole numbers of a value, by path.
func numbers(path string, v any, into map[string]int) map[string]int {
	switch v := v.(type) {
	case int:
		into[strings.TrimPrefix(path, ".")] = v
	case call:
		numbers(path, v.argument, into)
	case map[string]any:
		for k, e := range v {
			numbers(path+"."+k, e, into)
		}
	case []any:
		for i, e := range v {
			numbers(fmt.Sprintf("%s[%d]", path, i), e, into)
		}
	}
	return into
}

// figures are what a server's settings lead to, calculated by hand.
type figures struct {
	port, read, keepAlive, half, expire int
}

func figuresOf() map[string]figures {
	return map[string]figures{
		"plain":  {port: 5080, read: 25 + 5, keepAlive: 60, half: 2},
		"full":   {port: 5080, read: 25 + 5, keepAlive: 60, half: 2, expire: 32},
		"tls":    {port: 8443, read: 3*1 + 5, keepAlive: 15, half: 1},
		"signed": {port: 5080, read: 25 + 5, keepAlive: 60, half: 2},
		"both":   {port: 443, read: 3*7 + 5, keepAlive: 60, half: 3},
	}
}

// TestEveryNumberOfCloudFormation checks that each number is a wanted one, and that none is missing.
func TestEveryNumberOfCloudFormation(t *testing.T) {
	for name, f := range figuresOf() {
		o := cases()[name]
		text, _ := printed(t, o)
		want := map[string]int{
			"CrossOrigin.ResponseHeadersPolicyConfig.CorsConfig.AccessControlMaxAgeSec": 86400,
			"PlaylistCache.CachePolicyConfig.MinTTL":                                    0,
			"PlaylistCache.CachePolicyConfig.DefaultTTL":                                f.half,
			"PlaylistCache.CachePolicyConfig.MaxTTL":                                    3600,
			"SegmentCache.CachePolicyConfig.MinTTL":                                     0,
			"SegmentCache.CachePolicyConfig.DefaultTTL":                                 31536000,
			"SegmentCache.CachePolicyConfig.MaxTTL":                                     31536000,
		}
		d := func(v int, format string, args ...any) {
			want["Distribution.DistributionConfig."+fmt.Sprintf(format, args...)] = v
		}
		port := "HTTPPort"
		if o.HTTPSPort != 0 {
			port = "HTTPSPort"
		}
		d(f.port, "Origins[0].CustomOriginConfig.%s", port)
		d(f.read, "Origins[0].CustomOriginConfig.OriginReadTimeout")
		d(f.keepAlive, "Origins[0].CustomOriginConfig.OriginKeepaliveTimeout")
		origins := 1
		if o.Bucket != nil {
			origins = 2
			if o.Bucket.Packages != "" {
				origins = 3
				for name, n := range map[string]int{"Min": 0, "Default": 10, "Max": 30} {
					want["PackageCache.CachePolicyConfig."+name+"TTL"] = n
				}
			}
		}
		for i := range origins {
			d(1, "Origins[%d].ConnectionTimeout", i)
			d(2, "Origins[%d].ConnectionAttempts", i)
		}
		for i, e := range [][2]int{{400, 10}, {403, 1}, {404, 3}, {405, 10}, {414, 10}, {500, 1}, {502, 1}, {503, 1}, {504, 1}} {
			d(e[0], "CustomErrorResponses[%d].ErrorCode", i)
			d(e[1], "CustomErrorResponses[%d].ErrorCachingMinTTL", i)
		}
		if o.Bucket != nil {
			d(2, "OriginGroups.Quantity")
			for i, statuses := range [][]int{{500, 502, 503, 504}, {403, 404, 500, 502, 503, 504}} {
				d(2, "OriginGroups.Items[%d].Members.Quantity", i)
				d(len(statuses), "OriginGroups.Items[%d].FailoverCriteria.StatusCodes.Quantity", i)
				for j, s := range statuses {
					d(s, "OriginGroups.Items[%d].FailoverCriteria.StatusCodes.Items[%d]", i, j)
				}
			}
			want["Bucket.LifecycleConfiguration.Rules[0].AbortIncompleteMultipartUpload.DaysAfterInitiation"] = 1
			if f.expire != 0 {
				want["Bucket.LifecycleConfiguration.Rules[1].ExpirationInDays"] = f.expire
			}
		}
		got := map[string]int{}
		for resource, r := range at(t, readYAML(t, text), "Resources").(map[string]any) {
			numbers(resource, at(t, r, "Properties"), got)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-wanted +printed):\n%s", name, d)
		}
	}
}

// TestEveryNumberOfTerraform checks the other output against the same figures.
func TestEveryNumberOfTerraform(t *testing.T) {
	for name, f := range figuresOf() {
		o := cases()[name]
		_, text := printed(t, o)
		want := map[string]int{
			"aws_cloudfront_response_headers_policy.cors.cors_config[0].access_control_max_age_sec": 86400,
			"aws_cloudfront_cache_policy.playlists.min_ttl":                                         0,
			"aws_cloudfront_cache_policy.playlists.default_ttl":                                     f.half,
			"aws_cloudfront_cache_policy.playlists.max_ttl":                                         3600,
			"aws_cloudfront_cache_policy.segments.min_ttl":                                          0,
			"aws_cloudfront_cache_policy.segments.default_ttl":                                      31536000,
			"aws_cloudfront_cache_policy.segments.max_ttl":                                          31536000,
		}
		d := func(v int, format string, args ...any) {
			want["aws_cloudfront_distribution.live."+fmt.Sprintf(format, args...)] = v
		}
		ports := map[string]int{"http": 80, "https": 443} // the provider's own, if the server has none
		if o.HTTPPort != 0 {
			ports["http"] = o.HTTPPort
		}
		if o.HTTPSPort != 0 {
			ports["https"] = o.HTTPSPort
		}
		if used := ports[map[bool]string{true: "https", false: "http"}[o.HTTPSPort != 0]]; used != f.port {
			t.Errorf("%s: port %d, not %d", name, used, f.port)
		}
		d(ports["http"], "origin[0].custom_origin_config[0].http_port")
		d(ports["https"], "origin[0].custom_origin_config[0].https_port")
		d(f.read, "origin[0].custom_origin_config[0].origin_read_timeout")
		d(f.keepAlive, "origin[0].custom_origin_config[0].origin_keepalive_timeout")
		origins := 1
		if o.Bucket != nil {
			origins = 2
			if o.Bucket.Packages != "" {
				origins = 3
				for name, n := range map[string]int{"min": 0, "default": 10, "max": 30} {
					want["aws_cloudfront_cache_policy.packages."+name+"_ttl"] = n
				}
			}
		}
		for i := range origins {
			d(1, "origin[%d].connection_timeout", i)
			d(2, "origin[%d].connection_attempts", i)
		}
		for i, e := range [][2]int{{400, 10}, {403, 1}, {404, 3}, {405, 10}, {414, 10}, {500, 1}, {502, 1}, {503, 1}, {504, 1}} {
			d(e[0], "custom_error_response[%d].error_code", i)
			d(e[1], "custom_error_response[%d].error_caching_min_ttl", i)
		}
		if o.Bucket != nil {
			for i, statuses := range [][]int{{500, 502, 503, 504}, {403, 404, 500, 502, 503, 504}} {
				for j, s := range statuses {
					d(s, "origin_group[%d].failover_criteria[0].status_codes[%d]", i, j)
				}
			}
			const rule = "aws_s3_bucket_lifecycle_configuration.recordings.rule[%d]."
			want[fmt.Sprintf(rule+"abort_incomplete_multipart_upload[0].days_after_initiation", 0)] = 1
			if f.expire != 0 {
				want[fmt.Sprintf(rule+"expiration[0].days", 1)] = f.expire
			}
		}
		got := map[string]int{}
		for _, b := range readHCL(t, text).blocks {
			if b.kind == "resource" {
				numbers(strings.Join(b.labels, "."), b.values(), got)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-wanted +printed):\n%s", name, d)
		}
	}
}

// TestAgesLetTheOriginRule checks that every age the origin sends, from the smallest to the largest, lies within the limits.
func TestAgesLetTheOriginRule(t *testing.T) {
	for td := 1; td <= 60; td++ {
		o := Options{TargetDuration: td, MaxTargetDuration: 60}
		if h := o.half(); h != max(1, td/2) || h > agePlaylist {
			t.Errorf("TD %d: an age of %d", td, h)
		}
		if r := o.readTimeout(); r <= min(3*60, 25) || r > 60 {
			t.Errorf("TD %d: a read time-out of %d", td, r)
		}
	}
	for idle := 6 * time.Second; idle < 200*time.Second; idle += time.Second {
		k := time.Duration(Options{IdleTimeout: idle}.keepAlive()) * time.Second
		if k < time.Second || k >= idle || k > time.Minute {
			t.Errorf("the server waits %s, CloudFront %s", idle, k)
		}
	}
}

// TestGuideSaysTheSame checks that the tables of the guide have the figures that are printed.
func TestGuideSaysTheSame(t *testing.T) {
	text, err := os.ReadFile("../../docs/cloudfront.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"| Minimum TTL | 0 | 0 |", fmt.Sprintf("| Maximum TTL | %d | %d |", agePlaylist, ageSegment),
		fmt.Sprintf("| Default TTL | %d (half of the target duration) | %d |", Options{TargetDuration: 4}.half(), ageSegment),
		"include `" + strings.Join(playlistQueries, "`, `") + "` | none |",
		fmt.Sprintf("connection attempts %d, connection timeout %d, response timeout %d, keep-alive timeout %d", connectionAttempts, connectionTimeout,
			Options{TargetDuration: 4, MaxTargetDuration: 12}.readTimeout(), maxKeepAlive),
		fmt.Sprintf(`"DaysAfterInitiation": %d`, abortUploadDays),
	}
	for _, e := range errorAges {
		want = append(want, fmt.Sprintf("| %d | %d s | %s |", e.Status, e.Seconds, e.Why))
	}
	for _, w := range want {
		if !bytes.Contains(text, []byte(w)) {
			t.Errorf("docs/cloudfront.md has no %q", w)
		}
	}
}
