package vodjobs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/arrivals"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/jobs"
	"github.com/hlsorigin/hlsorigin/storage/regular"
	"github.com/hlsorigin/hlsorigin/storage/sqs"
)

// watch makes jobs of new files until ctx ends. It begins anew when the settings that it lives by have changed.
func (s *Service) watch(ctx context.Context) {
	for ctx.Err() == nil {
		c := s.config()
		these, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		places := map[string]*place{}
		for _, url := range c.Jobs.Watch {
			url = strings.TrimRight(url, "/") + "/"
			p := &place{s: s, url: url, hints: make(chan hint)}
			places[url] = p
			all.Go(func() { p.run(these) })
		}
		for _, url := range c.Jobs.Queues {
			all.Go(func() { s.listen(these, string(url), places) })
		}
		s.await(ctx, c)
		stop()
		all.Wait()
	}
}

// await returns when ctx ends, or other things are to be watched.
func (s *Service) await(ctx context.Context, c configs.Config) {
	for {
		turn := s.changed()
		now := s.config()
		if !reflect.DeepEqual([]any{now.Jobs.Watch, now.Jobs.Queues, now.Jobs.Output}, []any{c.Jobs.Watch, c.Jobs.Queues, c.Jobs.Output}) {
			return
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return
		}
	}
}

// place is a watched place.
type place struct {
	s     *Service
	url   string // with a slash at its end
	hints chan hint
}

// hint says that there is something new, and where the answer goes.
type hint struct {
	url  string
	done chan error
}

// run looks again and again, and where hints say, until ctx ends.
func (p *place) run(ctx context.Context) {
	s, log := p.s, p.s.o.Log.With("place", p.url)
	var w *arrivals.Watch
	told := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-p.hints:
			if w == nil || !s.ready() {
				h.done <- fmt.Errorf("%s cannot be seen now", p.url)
				continue
			}
			h.done <- w.Hint(ctx, h.url)
		case <-timer.C:
			if w == nil {
				o, err := s.arrivals(ctx, p.url)
				switch {
				case err == nil:
					w, told = arrivals.New(o), false
				case !told:
					log.Warn("a watched place cannot be opened: what comes there waits", "error", err)
					told = true
				}
			}
			next := s.o.Timing.Watch
			if w != nil && s.ready() { // else what comes waits
				_ = w.Look(ctx) // which has said what was wrong
				next = w.Every()
			}
			timer.Reset(next)
		}
	}
}

// ofPackage matches what lies in the rungs of packages and has the ending of a film. Packages are not in jobs.output alone: that may have
// been another folder before.
var ofPackage = regexp.MustCompile(`/(segment-[0-9]+\.ts|init\.mp4)$`)

// arrivals are how a place is watched.
func (s *Service) arrivals(ctx context.Context, url string) (arrivals.Options, error) {
	c := s.config()
	o := arrivals.Options{URL: url, Own: s.o.Store, Poll: s.o.Timing.Watch, Now: s.o.Now, Log: s.o.Log, Found: s.arrived, Skip: func(key string) bool { return !arrivals.Media(key) || ofPackage.MatchString(key) }}
	if below, ok := strings.CutPrefix(url, at(c)); ok { // of the server's own bucket
		o.Place, o.Prefix = s.o.Store, below
		o.Skip = func(key string) bool {
			return !arrivals.Media(key) || ofPackage.MatchString(key) || strings.HasPrefix(key, c.Jobs.Output) || strings.HasPrefix(key, storage.Shared) || strings.Contains("/"+key, "/streams/")
		}
		return o, nil
	}
	if directory, ok := strings.CutPrefix(url, "file://"); ok {
		if info, err := os.Stat(directory); err != nil {
			return o, err
		} else if !info.IsDir() {
			return o, fmt.Errorf("%s is %s, no directory", directory, regular.What(info.Mode()))
		}
		d, err := dir.Open(dir.Options{Path: directory})
		if err != nil {
			return o, err
		}
		context.AfterFunc(ctx, func() { d.Close() })
		o.Place = storage.Retry(d, storage.RetryOptions{Attempts: attempts})
		return o, nil
	}
	l, err := (configs.Bucket{URL: url}).Location()
	if err != nil {
		return o, err
	}
	o.Prefix = l.Prefix
	o.Place, err = s.bucket(ctx, l.Bucket)
	return o, err
}

// arrived orders a job for a new file.
func (s *Service) arrived(ctx context.Context, a arrivals.Arrival) error {
	c := s.config()
	order := jobs.Order{Kind: string(vod.AdaptiveVideo), Input: a.URL, Priority: jobs.DefaultPriority}
	var err error
	if order.Options, err = json.Marshal(options(&api.JobOrder{Kind: order.Kind}, c.Jobs.Ladder)); err != nil {
		return err
	}
	once := jobs.Key{Text: "watch " + a.Once}
	j, ok, err := s.queue.ByKey(ctx, once)
	if err == nil && !ok {
		j, err = s.addAnywhere(ctx, order, once, path.Base(strings.TrimSuffix(a.URL, path.Ext(a.URL))))
	}
	if err != nil {
		return err
	}
	s.o.Log.Info("a new file becomes a job", "file", a.URL, "bytes", a.Size, "job", j.ID)
	return nil
}

// listenPause is how long a queue that cannot be read is left alone.
const listenPause = 10 * time.Second

// listen reads notifications until ctx ends.
func (s *Service) listen(ctx context.Context, url string, places map[string]*place) {
	c, log := s.config(), s.o.Log.With("queue", path.Base(url)) // its address has the account in it
	away, odd := false, false
	q, err := sqs.Open(ctx, sqs.Options{URL: url, AccessKey: string(c.Storage.AccessKey), SecretKey: string(c.Storage.SecretKey), Region: c.Storage.Region})
	for ctx.Err() == nil {
		var messages []sqs.Message
		if q != nil {
			messages, err = q.Receive(ctx)
		}
		for _, m := range messages {
			if m.Unknown && !odd {
				odd = true
				log.Warn("a message in the queue is no notification of a bucket's: such are removed")
			}
			if s.notified(ctx, m, places) {
				err = q.Done(ctx, m)
			}
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !away:
			log.Warn("the queue of notifications cannot be read now: new files are found by listing", "error", err)
		case err == nil && away:
			log.Info("the queue of notifications can be read again")
		}
		if away = err != nil; away {
			pause := time.NewTimer(listenPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
	}
}

// notified deals with a message, and reports whether it is done with.
func (s *Service) notified(ctx context.Context, m sqs.Message, places map[string]*place) bool {
	for _, o := range m.Objects {
		at := "s3://" + o.Bucket + "/" + o.Key
		for url, p := range places {
			if !strings.HasPrefix(at, url) {
				continue
			}
			h := hint{url: at, done: make(chan error, 1)}
			select {
			case p.hints <- h:
			case <-ctx.Done():
				return false
			}
			if err := <-h.done; err != nil {
				return false // it comes again
			}
		}
	}
	return true
}
