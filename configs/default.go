package configs

import "time"

// Default is the configuration of a server that was told nothing. default.yaml says the same, with reasons.
func Default() Config {
	return Config{
		HTTP: HTTP{
			Listen:         ":5080",
			CDNSecret:      CDNSecret{Header: "X-Origin-Secret"},
			IdleTimeout:    seconds(125),
			MaxConnections: 20000,
			DrainTimeout:   seconds(5),
		},
		Admin: Admin{
			Listen: "127.0.0.1:5081",
			HLSJS:  HLSJS{URL: hlsJSURL, Integrity: hlsJSIntegrity},
		},
		RTMP: RTMP{
			Listen:                   ":1935",
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 100,
			IdleTimeout:              seconds(30),
			Coalesce:                 Duration(40 * time.Millisecond),
		},
		RTSP: RTSP{
			Listen:                   ":8554",
			UDPRTP:                   ":8000",
			UDPRTCP:                  ":8001",
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 100,
			IdleTimeout:              seconds(30),
		},
		IngestHTTP: IngestHTTP{
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 100,
			IdleTimeout:              seconds(30),
			MaxSegment:               64 << 20,
		},
		HLS: HLS{
			SegmentDuration:   seconds(4),
			Window:            seconds(60),
			MaxTargetDuration: seconds(12),
			ReconnectGrace:    seconds(60),
			EndGrace:          seconds(15),
			RestartGrace:      seconds(5 * 60),
			EndedTTL:          seconds(10 * 60),
			TakeoverAfter:     seconds(2),
			PDTMaxDrift:       seconds(2),
			PartDuration:      Duration(500 * time.Millisecond),
			CMAF:              true,
			ArchiveSplit:      seconds(24 * 3600),
		},
		Apps:     map[string]App{"live": defaultApp()},
		Storage:  Storage{Bucket: defaultBucket("file://data/bucket"), Packagings: []string{PackagingTS}},
		Spool:    Spool{Dir: "data/spool", MaxBytes: 20 << 30, Fsync: "never"},
		Metrics:  Metrics{MaxStreams: 100},
		Cluster:  Cluster{Listen: ":5083", Drain: seconds(5)},
		Jobs:     Jobs{Workers: 1, Output: "vod/", Keep: seconds(30 * 24 * 3600)},
		Shutdown: Shutdown{Hold: true, Timeout: seconds(20)},
		Log:      Log{Level: "info", Format: "text"},
	}
}

// The player's hls.js, pinned: the page loads this file and no other.
const (
	hlsJSURL       = "https://cdn.jsdelivr.net/npm/hls.js@1.6.19/dist/hls.min.js"
	hlsJSIntegrity = "sha384-eIepVstlIv9sSqP0mAsB37yZCJzcs0Y9qhxne7qDj9mO6EneOgR3uvZy28Xn6XqH"
)

// defaultBucket is what a bucket has beside its URL before the file speaks: the replica begins with the same values.
func defaultBucket(url string) Bucket {
	return Bucket{URL: url, Workers: 4, Checksum: "none", NoProgressTimeout: seconds(15)}
}

// defaultWebhook is what a webhook has before the file speaks.
func defaultWebhook() Webhook { return Webhook{Format: "standard", Keep: seconds(3 * 24 * 3600)} }

// defaultApp is what an app has before the file speaks.
func defaultApp() App {
	return App{Auth: Auth{Callback: Callback{Timeout: seconds(2), Cache: seconds(30)}}}
}

func seconds(n int) Duration { return Duration(n) * Duration(time.Second) }
