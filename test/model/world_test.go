package model

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	nodes    = 3
	nowhere  = -1 // where an encoder is that publishes to no node
	maxRows  = 12
	schedule = 160 // steps before everything heals
)

// world is the bucket, the nodes and the encoders of one stream, and all that is on its way between them.
type world struct {
	design   design
	bucket   bucket
	net      network
	nodes    [nodes]*node
	encoders [3]int // from 1 on: the node that each publishes to
	peersCut bool   // nodes do not reach each other
	clock    int
	newest   int            // recording
	drawn    int            // nonces
	seen     map[string]int // what happened, and how often
	check    check
}

func newWorld(d design) *world {
	w := &world{design: d, bucket: bucket{map[key]object{}}, check: newCheck(), seen: map[string]int{}, encoders: [3]int{nowhere, nowhere, nowhere}}
	for i := range w.nodes {
		w.nodes[i] = &node{w: w, id: i, up: true}
	}
	return w
}

// recording names a new one: later ones have higher numbers, as their names are instants.
func (w *world) recording() int {
	w.newest++
	return w.newest
}

// nonce is what no other claim has, if claims have such.
func (w *world) nonce() int {
	if !w.design.nonce {
		return 0
	}
	w.drawn++
	return w.drawn
}

// fed reports whether the owner of a claim says, to a node that can ask it, that it has its encoder.
func (w *world) fed(n *node, c body) bool {
	owner := w.nodes[c.node]
	return owner != n && !w.peersCut && owner.up && !owner.stopped && owner.encoder != 0 && owner.own != nil && owner.own.epoch == c.epoch
}

// verb is what happens in a step.
type verb uint8

const (
	join     verb = iota // an encoder begins to publish to a node
	leave                // an encoder is cut off, and knows it
	produce              // an encoder has sent one more segment
	expire               // an encoder was away for longer than the grace
	carry                // the bucket carries a request out
	reply                // a node gets the answer
	giveUp               // a node waits no longer: the request may be lost, or its answer
	late                 // the bucket carries out a request that nobody waits for
	crash                // a node loses what is not on its disk
	start                // and starts
	stop                 // SIGSTOP
	resume               // SIGCONT
	cut                  // a node does not reach the bucket
	heal                 // and does again
	cutPeers             // nodes do not reach each other
	healPeers
)

// step is one event of a schedule.
type step struct {
	verb    verb
	node    int
	encoder int
	op      op
}

func (s step) String() string {
	n := string(rune('A' + s.node))
	switch s.verb {
	case join:
		return fmt.Sprintf("encoder %d begins to publish to %s", s.encoder, n)
	case leave:
		return fmt.Sprintf("encoder %d leaves", s.encoder)
	case produce:
		return fmt.Sprintf("%s gets a segment from its encoder", n)
	case expire:
		return fmt.Sprintf("%s has waited for its encoder long enough", n)
	case carry:
		return fmt.Sprintf("the bucket carries out %s's %v", n, s.op)
	case reply:
		return fmt.Sprintf("%s gets the answer to its %v", n, s.op)
	case giveUp:
		return fmt.Sprintf("%s gives up waiting for the answer to its %v", n, s.op)
	case late:
		return fmt.Sprintf("the bucket carries out a %v that %s does not wait for any more", s.op, n)
	case cutPeers:
		return "the nodes do not reach each other"
	case healPeers:
		return "the nodes reach each other again"
	}
	return n + map[verb]string{crash: " crashes", start: " starts", stop: " is stopped", resume: " is continued",
		cut: " does not reach the bucket", heal: " reaches the bucket again"}[s.verb]
}

// choice is a step that may come next, and how often it does beside the others.
type choice struct {
	step   step
	weight int
}

// choices are the steps that are possible now.
func (w *world) choices(to []choice) []choice {
	add := func(weight int, s step) { to = append(to, choice{s, weight}) }
	for e := 1; e < len(w.encoders); e++ {
		if at := w.encoders[e]; at != nowhere {
			add(3, step{verb: leave, encoder: e})
			continue
		}
		for _, n := range w.nodes {
			if n.up && !n.stopped && !n.deciding {
				add(8/e, step{verb: join, encoder: e, node: n.id}) // the second pushes less often
			}
		}
	}
	for _, n := range w.nodes {
		at := func(weight int, v verb) { add(weight, step{verb: v, node: n.id}) }
		switch {
		case !n.up:
			at(8, start)
		case n.stopped:
			at(6, resume)
			at(1, crash)
		default:
			at(1, crash)
			at(1, stop)
			if o := n.own; o != nil && !o.ending && !o.ended {
				if n.encoder != 0 && len(o.rows) < maxRows {
					at(20, produce)
				}
				if n.encoder == 0 {
					at(4, expire)
				}
			}
		}
		if n.cut {
			at(6, heal)
		} else {
			at(1, cut)
		}
	}
	if w.peersCut {
		add(4, step{verb: healPeers})
	} else {
		add(1, step{verb: cutPeers})
	}
	return w.traffic(to)
}

// traffic are the steps that requests can make: of those of one node and kind the oldest.
func (w *world) traffic(to []choice) []choice {
	var seen [nodes][ops][giveUp + 3]bool
	for _, r := range w.net.requests {
		n := w.nodes[r.node]
		add := func(weight int, v verb) {
			if at := &seen[r.node][r.op][v]; !*at {
				*at = true
				to = append(to, choice{step{verb: v, node: r.node, op: r.op}, weight})
			}
		}
		running := n.up && !n.stopped
		switch {
		case r.then == nil:
			add(4, late)
		case r.carried && running:
			if !n.cut {
				add(40, reply)
			}
			add(1, giveUp)
		case !r.carried:
			if !n.cut {
				add(40, carry)
			}
			if running {
				add(1, giveUp)
			}
		}
	}
	return to
}

// do takes a step. It reports whether that was possible.
func (w *world) do(s step) bool {
	possible := false
	for _, c := range w.choices(nil) {
		possible = possible || c.step == s
	}
	if possible {
		w.take(s)
	}
	return possible
}

func (w *world) take(s step) {
	n := w.nodes[s.node]
	waits := func(r *request) bool { return r.then != nil }
	switch s.verb {
	case join:
		n.publish(s.encoder)
	case leave:
		at := w.nodes[w.encoders[s.encoder]]
		if w.encoders[s.encoder] = nowhere; at.encoder == s.encoder && !at.stopped {
			at.encoder = 0
		}
	case produce:
		n.produce()
	case expire:
		n.expire()
	case carry:
		w.carryOut(w.net.first(s.node, s.op, func(r *request) bool { return r.then != nil && !r.carried }))
	case reply:
		r := w.net.first(s.node, s.op, func(r *request) bool { return r.then != nil && r.carried })
		w.net.remove(r)
		r.then(r.answer)
	case giveUp:
		r := w.net.first(s.node, s.op, waits)
		then := r.then
		if r.then = nil; r.pointless() {
			w.net.remove(r)
		}
		then(answer{unknown: true})
	case late:
		w.carryOut(w.net.first(s.node, s.op, func(r *request) bool { return r.then == nil }))
	case crash:
		n.crash()
	case start:
		n.start()
	case stop:
		n.stopped = true
	case resume:
		n.stopped = false
		if e := n.encoder; e != 0 && w.encoders[e] != n.id {
			n.encoder = 0
		}
	case cut, heal:
		n.cut = s.verb == cut
	case cutPeers, healPeers:
		w.peersCut = s.verb == cutPeers
	}
	for _, n := range w.nodes {
		n.work()
	}
}

// run lets a schedule happen that a seed draws, and returns it.
func (w *world) run(seed uint64) (steps []step) {
	random := rand.New(rand.NewPCG(seed, 15))
	var choices []choice
	for len(steps) < schedule && w.check.broken == "" {
		choices = w.choices(choices[:0])
		all := 0
		for _, c := range choices {
			all += c.weight
		}
		draw, i := random.IntN(all), 0
		for draw >= choices[i].weight {
			draw -= choices[i].weight
			i++
		}
		steps = append(steps, choices[i].step)
		w.take(choices[i].step)
	}
	return steps
}

// settle ends all trouble, lets every request be carried out, and one encoder publish until nothing moves any more. What is wrong then is
// wrong for ever.
func (w *world) settle() {
	w.peersCut = false
	for _, n := range w.nodes {
		n.cut = false
		w.do(step{verb: resume, node: n.id})
		w.do(step{verb: start, node: n.id})
	}
	w.do(step{verb: leave, encoder: 2})
	w.calm()
	n := w.onAir()
	if n == nil {
		w.check.fail("no node keeps the encoder")
		return
	}
	if got := w.bucket.objects[key{kind: entries}].body.recording; got != n.own.recording {
		w.check.fail("stable entry leads elsewhere for ever")
	}
	want := n.own.rows[len(n.own.rows)-1].content
	if live := w.bucket.objects[key{kind: lives, recording: n.own.recording}].body; len(live.rows) != len(n.own.rows) || live.rows[len(live.rows)-1] != want {
		w.check.fail("the newest segment is never in the bucket's playlist")
	}
	for k, o := range w.bucket.objects {
		if k.kind == lives && k.recording != n.own.recording && !o.body.ended {
			w.check.fail("a playlist that nobody writes never ends")
		}
	}
}

// onAir lets an encoder publish, wherever it may, until a segment of it has come to rest, and returns the node. One that finds out only now
// that it is not the owner any more sends the encoder away.
func (w *world) onAir() *node {
	for try := range 10 * nodes {
		if w.encoders[1] == nowhere {
			w.do(step{verb: join, encoder: 1, node: try % nodes})
			w.calm()
		}
		if w.encoders[1] == nowhere {
			continue
		}
		n := w.nodes[w.encoders[1]]
		if n.own == nil {
			return nil
		}
		n.produce()
		n.work()
		w.calm()
		if n.own != nil && n.encoder == 1 {
			return n
		}
	}
	return nil
}

// calm lets everything happen that needs no fault: requests, answers, and the ends of recordings without an encoder.
func (w *world) calm() {
	for range 10_000 {
		var next *step
		for _, c := range w.choices(nil) {
			s := c.step
			if s.verb == carry || s.verb == reply || s.verb == late || s.verb == expire {
				next = &s
				break
			}
		}
		if next == nil {
			return
		}
		w.take(*next)
	}
	w.check.fail("the nodes never come to rest")
}

// text is a schedule for people, a line for each step.
func text(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&b, "%3d. %v\n", i+1, s)
	}
	return b.String()
}
