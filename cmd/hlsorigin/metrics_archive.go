package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

func (a *archive) metrics(m meters) {
	s := a.mirror.Stats()
	m.gauge("archive_recordings", "Recordings that spool or bucket are not finished with.", nil, of(&s.Recordings))
	m.counter("archive_gaps_total", "Segments whose bytes were lost; each is EXT-X-GAP in the archive.", nil, of(&s.Gaps))
	m.counter("archive_lost_bytes_total", "Bytes of segments that were lost.", nil, of(&s.DroppedBytes))
	m.counter("archive_disk_errors_total", "Attempts of the spool's disk that failed.", nil, of(&s.DiskErrors))
	m.counter("archive_damaged_journals_total", "Recordings whose journal was damaged when the server started.", nil, of(&s.Damaged))
	m.counter("archive_salvaged_total", "Segments that no journal told of and that were found in their own bytes, on disk or in the bucket.", nil, of(&s.Salvaged))
	m.gauge("archive_memory_bytes", "Bytes of segments held in memory for want of disk or bucket.", nil, func() float64 { return float64(a.mirror.HeldBytes()) })
	m.counter("archive_stood_down_total", "Recordings whose playlists are not written any more since another server has the stream, counted for each store.", nil, of(&s.StoodDown))
	if a.spool != nil {
		d := a.spool.Stats()
		m.gauge("spool_bytes", "Bytes of segments in the spool.", nil, of(&d.Bytes))
		m.gauge("spool_segments", "Segments in the spool.", nil, of(&d.Files))
		m.gauge("spool_max_bytes", "The spool's cap.", nil, func() float64 { return float64(a.spool.MaxBytes()) })
		m.gauge("spool_aside_folders", "Folders of the spool that could not be understood and were put aside, into .aside in spool.dir: look at the log, and remove them when they are repaired.", nil, of(&d.Aside))
		m.counter("spool_evicted_total", "Segments removed from the spool after every bucket had them.", nil, of(&d.Evicted))
		m.counter("spool_dropped_total", "Segments removed from the spool, for want of room, before every bucket had them.", nil, of(&d.Dropped))
		m.counter("spool_dropped_bytes_total", "Their bytes.", nil, of(&d.DroppedBytes))
		m.counter("spool_errors_total", "Failed writes to the spool.", nil, of(&d.Errors))
		m.counter("spool_changed_total", "Segments that were asked for and whose files had another size than they were written with: somebody else writes below spool.dir.", nil, of(&d.Changed))
	}
	for _, u := range a.mirror.Uploaders() {
		a.uploadMetrics(m, u)
	}
	if a.reading != nil {
		r := &a.reading.Stats
		m.counter("readback_hits_total", "Objects answered from the memory of what was read back.", nil, of(&r.Hits))
		m.counter("readback_fetches_total", "Requests to the bucket for viewers.", nil, of(&r.Fetches))
		m.counter("readback_failures_total", "Of them, failed.", nil, of(&r.Failures))
		m.gauge("readback_memory_bytes", "Memory of what was read back.", nil, of(&r.Bytes))
	}
}

func (a *archive) uploadMetrics(m meters, u *mirror.Uploader) {
	s, l := u.Stats(), prometheus.Labels{"target": u.Name()}
	m.gauge("upload_backlog_segments", "Segments not yet confirmed by the bucket.", l, of(&s.BacklogSegments))
	m.gauge("upload_backlog_bytes", "Their bytes.", l, of(&s.BacklogBytes))
	m.gauge("upload_cmaf_backlog_segments", "Segments not yet confirmed by the bucket as CMAF; 0 where storage.packagings has no cmaf.", l, of(&s.BacklogTracks))
	m.counter("upload_cmaf_segments_total", "Segments confirmed by the bucket as CMAF.", l, of(&s.Tracks))
	m.counter("upload_cmaf_bytes_total", "Their bytes.", l, of(&s.TrackBytes))
	m.counter("upload_cmaf_unrendered_total", "Segments of which no CMAF could be made, as MP3 or damaged; they are gaps in its playlists.", l, of(&s.Unrendered))
	m.gauge("upload_oldest_unsent_seconds", "Age of the oldest segment that the bucket has not confirmed; 0 where there is none.", l, func() float64 {
		for _, behind := range a.mirror.Behind() {
			if behind.Target == u.Name() && !behind.Oldest.IsZero() {
				return max(0, time.Since(behind.Oldest).Seconds())
			}
		}
		return 0
	})
	m.counter("upload_segments_total", "Segments confirmed by the bucket.", l, of(&s.Segments))
	m.counter("upload_bytes_total", "Their bytes.", l, of(&s.Bytes))
	m.counter("upload_playlists_total", "Playlists written to the bucket.", l, of(&s.Playlists))
	m.counter("upload_playlist_bytes_total", "Their bytes.", l, of(&s.PlaylistBytes))
	m.counter("upload_retries_total", "Attempts after a failed one of the same object.", l, of(&s.Retries))
	m.counter("upload_conflicts_total", "Names that held other content already: two writers, or a bucket that was tampered with.", l, of(&s.Conflicts))
	m.times("upload_duration_seconds", "Of one segment, from being taken up to the store's confirmation, reading it from the disk included; pauses after failures are not.", l,
		mirror.TookBounds[:], s.Took[:], &s.TookSum)
	m.gauge("upload_conditional", "Whether the store keeps to conditional writes, which keep two servers apart: 1 yes, 0 no, -1 it has not been found out yet.", l, func() float64 {
		return map[fence.Fitness]float64{fence.Fit: 1, fence.Unfit: 0, fence.Unknown: -1}[u.Conditions()]
	})
	m.gauge("upload_in_flight", "Requests on their way.", l, of(&s.Inflight))
	m.gauge("upload_parallel", "Requests allowed at once.", l, of(&s.Parallel))
	s.EachFailure(func(k storage.FailureKind, _ int64) {
		m.counter("upload_failures_total", "Failed attempts, by kind.",
			prometheus.Labels{"target": u.Name(), "kind": k.String()}, of(&s.Failures[k]))
	})
}

func (s *server) jobMetrics(m meters) {
	j := &jobs.Stats{}
	if s.jobs != nil {
		j = s.jobs.Stats()
	}
	m.gauge("jobs_waiting", "Jobs in the bucket that wait for a server, also between two tries.", nil, of(&j.Waiting))
	m.gauge("jobs_running", "Jobs that run on this server.", nil, of(&j.Running))
	m.gauge("jobs_running_elsewhere", "Jobs that run on other servers, as far as this one has looked.", nil, of(&j.Elsewhere))
	m.gauge("jobs_oldest_waiting_seconds", "How long the job has waited that waits the longest; 0 where none does.", nil, func() float64 {
		if at := j.Oldest.Load(); at > 0 {
			return max(0, time.Since(time.Unix(at, 0)).Seconds())
		}
		return 0
	})
	m.counter("jobs_added_total", "Jobs that were ordered of this server, or found by it in a watched place.", nil, of(&j.Added))
	m.counter("jobs_tries_total", "Tries at jobs that this server began.", nil, of(&j.Started))
	m.counter("jobs_tries_failed_total", "Of them, those that failed and are followed by another.", nil, of(&j.Retried))
	m.counter("jobs_taken_up_total", "Jobs of servers that were gone, which this one went on with.", nil, of(&j.TakenUp))
	m.counter("jobs_lost_total", "Jobs that this server ran and could not renew in time: another went on with them.", nil, of(&j.Lost))
	const over = "Jobs that this server ended, by how."
	m.counter("jobs_total", over, prometheus.Labels{"result": "succeeded"}, of(&j.Succeeded))
	m.counter("jobs_total", over, prometheus.Labels{"result": "failed"}, of(&j.Failed))
	m.counter("jobs_total", over, prometheus.Labels{"result": "canceled"}, of(&j.Canceled))
	m.counter("jobs_webhooks_given_up_total", "Jobs whose webhook_url did not take their end for three days.", nil, of(&j.Untold))
	m.counter("jobs_looks_failed_total", "Looks for work that failed, because the bucket did not answer.", nil, of(&j.PollFailures))
}
