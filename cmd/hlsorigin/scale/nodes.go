package scale

import "math"

// What a server takes, by docs/operations.md and docs/performance.md. A stream's frames cost the same at every rate, its bytes do not.
const (
	cpuStream = 0.36  // CPU ms a second, for one of 30 pictures a second
	cpuRate   = 0.135 // CPU ms a second for each Mb/s
	cpuPut    = 0.125 // CPU ms for each Mb that is uploaded over https
	cpuSend   = 180   // CPU ms for each GB sent
	cpuAnswer = 0.008 // CPU ms for each playlist
	cpuWaking = 1.2   // with low latency publishers are read every 10 ms and not every 40: up to a fifth more
	inMemory  = 2.5   // segments beside the window: the one being written, and what slow viewers are still at
)

// What of a node is planned with: the rest is for bursts, for the others' streams when a node is lost, and for the system.
const (
	useCPU     = 0.5
	useMemory  = 0.5 // hls.memory
	useNetwork = 0.5
)

// Servers are how many nodes carry the streams, and what one stream takes of them, with all its rungs.
type Servers struct {
	CPU     float64 `json:"cpu_ms"`             // a second
	Memory  float64 `json:"memory_bytes"`       // of the live window
	Disk    float64 `json:"disk_bytes"`         // for an outage of the bucket
	In      float64 `json:"in_mbps"`            // from the encoder
	Out     float64 `json:"out_mbps"`           // to the bucket and to the CDN
	ByCPU   float64 `json:"streams_by_cpu"`     // that a node carries, for the sake of this alone
	ByMem   float64 `json:"streams_by_memory"`  //
	ByNet   float64 `json:"streams_by_network"` //
	EachHas float64 `json:"streams_a_node"`
	Nodes   float64 `json:"nodes"` // with one more than are needed, so that one may be lost; 0: a node does not carry a single one
}

// servers computes the nodes; origin is what the CDN asks them for.
func (in *Input) servers(origin Level) (s Servers) {
	copies := 1.0 // of the media that is uploaded
	if in.CMAF {
		copies = 2
	}
	sent := origin.Gbps * 1000 / in.Streams // Mb/s
	for _, r := range in.Rates {
		ingest := cpuStream + cpuRate*r
		if in.Part > 0 {
			ingest *= cpuWaking
		}
		s.CPU += ingest + r*copies*cpuPut
		s.Memory += r * 1e6 / 8 * float64(in.Window+inMemory*in.Segment)
	}
	s.CPU += sent/8000*cpuSend + origin.Playlists/in.Streams*cpuAnswer
	s.Disk = in.all() * 1e6 / 8 * float64(in.Outage)
	s.In, s.Out = in.all(), in.all()*copies+sent
	s.ByCPU = math.Floor(in.Node.Cores * 1000 * useCPU / s.CPU)
	s.ByMem = math.Floor(in.Node.Memory * (1 << 30) * useMemory / s.Memory)
	s.ByNet = math.Floor(in.Node.Network * 1000 * useNetwork / math.Max(s.In, s.Out))
	s.EachHas = math.Min(s.ByCPU, math.Min(s.ByMem, s.ByNet))
	if s.EachHas > 0 {
		s.Nodes = math.Ceil(in.Streams/s.EachHas) + 1
	}
	return s
}
