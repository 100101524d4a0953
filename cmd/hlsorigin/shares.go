package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// shares is how the budget is used now.
type shares struct{ s *server }

// used is what a share holds, in bytes.
func (v shares) used(i budget.Share) int64 {
	s := v.s
	switch i {
	case budget.Window:
		return max(0, s.registry.MemoryInUse()-s.archive.mirror.HeldBytes())
	case budget.Archive:
		return s.archive.mirror.HeldBytes()
	case budget.Readback:
		if r := s.archive.reading; r != nil {
			return r.Stats.Bytes.Load() + r.Stats.Lent.Load()
		}
	case budget.Pages:
		return s.origin.CacheBytes()
	case budget.Fragments:
		n := s.origin.FragmentBytes()
		if s.remote != nil {
			n += s.remote.Bytes()
		}
		return n
	case budget.Viewers:
		return s.origin.Bytes()
	case budget.Publishers:
		return s.messages.Used() + (s.rtmp.Stats.Connections.Load()+s.rtsp.Stats.ConnectionsOpen.Load())*budget.PublisherCost +
			s.securePublishers()*(budget.SecurePublisherCost-budget.PublisherCost)
	}
	return 0
}

// refused is how often a share had no room for something new.
func (v shares) refused(i budget.Share) int64 {
	s := v.s
	switch i {
	case budget.Window:
		return s.registry.Stats().RefusedMemory.Load() + s.origin.Stats().Revoked.Load()
	case budget.Archive:
		return s.archive.mirror.Stats().Squeezed.Load()
	case budget.Readback:
		if r := s.archive.reading; r != nil {
			return r.Stats.Full.Load()
		}
	case budget.Pages:
		return s.origin.Stats().Overloads.Load()
	case budget.Fragments:
		return s.origin.Stats().Unrendered.Load() + s.remoteStats().Full.Load()
	case budget.Viewers:
		return s.origin.Stats().Refused.Load()
	case budget.Publishers:
		return s.messages.Refused.Load()
	}
	return 0
}

// Memory implements admin.Memory.
func (v shares) Memory() admin.Budget {
	b := admin.Budget{Limit: v.s.budget.Total, Source: v.s.budget.Source}
	for i, limit := range v.s.budget.Shares {
		b.Shares = append(b.Shares, admin.Share{Name: budget.Share(i).String(), Limit: limit, Used: v.used(budget.Share(i)), Refused: v.refused(budget.Share(i))})
	}
	return b
}

func (s *server) memoryMetrics(m meters) {
	m.gauge("memory_budget_bytes", "Memory that the server may use; 0: not known.", nil, func() float64 { return float64(s.budget.Total) })
	v := shares{s}
	for i, limit := range s.budget.Shares {
		i, label := budget.Share(i), prometheus.Labels{"share": budget.Share(i).String()}
		m.gauge("memory_limit_bytes", "Memory that a share of the budget may use; 0: no bound.", label, func() float64 { return float64(limit) })
		m.gauge("memory_used_bytes", "Memory that it uses now.", label, func() float64 { return float64(v.used(i)) })
		m.counter("memory_refused_total", "Times that it had no room: what was refused, dropped or had to go.", label, func() float64 { return float64(v.refused(i)) })
	}
}
