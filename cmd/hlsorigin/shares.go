package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// shares is how the budget is used now.
type shares struct{ s *server }

// used is what a share holds, in bytes.
func (v shares) used(i shareOf) int64 {
	s := v.s
	switch i {
	case windowShare:
		return max(0, s.registry.MemoryInUse()-s.archive.mirror.HeldBytes())
	case archiveShare:
		return s.archive.mirror.HeldBytes()
	case readbackShare:
		if r := s.archive.reading; r != nil {
			return r.Stats.Bytes.Load() + r.Stats.Lent.Load()
		}
	case pagesShare:
		return s.origin.CacheBytes()
	case viewersShare:
		st := s.origin.Stats()
		return st.Connections.Load()*viewerCost + st.Held.Load()*heldCost
	case publishersShare:
		return s.messages.Used() + (s.rtmp.Stats.Connections.Load()+s.rtsp.Stats.ConnectionsOpen.Load())*publisherCost
	}
	return 0
}

// refused is how often a share had no room for something new.
func (v shares) refused(i shareOf) int64 {
	s := v.s
	switch i {
	case windowShare:
		return s.registry.Stats().RefusedMemory.Load() + s.origin.Stats().Revoked.Load()
	case archiveShare:
		return s.archive.mirror.Stats().Squeezed.Load()
	case readbackShare:
		if r := s.archive.reading; r != nil {
			return r.Stats.Full.Load()
		}
	case pagesShare:
		return s.origin.Stats().Overloads.Load()
	case viewersShare:
		return s.origin.Stats().Refused.Load()
	case publishersShare:
		return s.messages.Refused.Load()
	}
	return 0
}

// Memory implements admin.Memory.
func (v shares) Memory() admin.Budget {
	b := admin.Budget{Limit: v.s.budget.total, Source: v.s.budget.source}
	for i, limit := range v.s.budget.share {
		b.Shares = append(b.Shares, admin.Share{Name: shareOf(i).String(), Limit: limit, Used: v.used(shareOf(i)), Refused: v.refused(shareOf(i))})
	}
	return b
}

func (s *server) memoryMetrics(m meters) {
	m.gauge("memory_budget_bytes", "Memory that the server may use; 0: not known.", nil, func() float64 { return float64(s.budget.total) })
	v := shares{s}
	for i, limit := range s.budget.share {
		i, label := shareOf(i), prometheus.Labels{"share": shareOf(i).String()}
		m.gauge("memory_limit_bytes", "Memory that a share of the budget may use; 0: no bound.", label, func() float64 { return float64(limit) })
		m.gauge("memory_used_bytes", "Memory that it uses now.", label, func() float64 { return float64(v.used(i)) })
		m.counter("memory_refused_total", "Times that it had no room: what was refused, dropped or had to go.", label, func() float64 { return float64(v.refused(i)) })
	}
}
