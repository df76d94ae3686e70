package pool

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/worker"
)

// maxBatch bounds the outcomes of one request, in number and in bytes.
const (
	maxBatch      = 2000
	maxBatchBytes = 8 << 20
)

func (p *Pool) batch() []worker.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, bytes := 0, 0
	for n < len(p.done) && n < maxBatch && (n == 0 || bytes < maxBatchBytes) {
		bytes += size(&p.done[n]) + 200
		if l := p.done[n].Log; l != nil {
			bytes += len(l.Text)
		}
		if e := p.done[n].Error; e != nil {
			bytes += len(e.Message) + len(e.Stack)
		}
		n++
	}
	out := slices.Clone(p.done[:n])
	p.done = slices.Delete(p.done, 0, n)
	if len(p.done) > 0 {
		poke(p.ready)
	}
	return out
}

// left gives what take does not bring.
func (p *Pool) left() []worker.Outcome {
	p.mu.Lock()
	taken := p.taken
	p.mu.Unlock()
	if taken {
		return nil
	}
	return p.batch()
}

// report brings outcomes until work ends.
func (p *Pool) report(work context.Context) {
	for {
		select {
		case <-p.ready:
		case <-work.Done():
			return
		}
		for {
			runtime.Gosched() // handlers that are about to return bring their outcomes to this request
			batch := p.left()
			if len(batch) == 0 {
				break
			}
			if !p.bring(work, batch) {
				return
			}
		}
	}
}

// bring sends outcomes until the source has answered for them. It reports false when there is no use in more.
func (p *Pool) bring(work context.Context, batch []worker.Outcome) bool {
	for wait := tries(); ; {
		session, generation := p.at()
		got, err := p.src.Exchange(work, session.ID, Request{Outcomes: batch})
		if work.Err() != nil {
			return false
		}
		if err == nil {
			if len(got.Results) == len(batch) {
				p.back()
				p.cancel(got.Cancelled)
				p.answered(got.Results)
				return true
			}
			err = fmt.Errorf("%d results for %d outcomes", len(got.Results), len(batch))
		} else {
			switch kind := p.src.Kind(err); kind {
			case NoSession:
				if err = p.join(work, generation); err == nil {
					continue
				}
			case Refused:
				if len(batch) > 1 { // one of them is at fault: the others must not wait for it
					half := len(batch) / 2
					return p.bring(work, batch[:half]) && p.bring(work, batch[half:])
				}
				if p.refused(&batch[0], err) {
					return true
				}
				continue
			case Over:
				p.mark(kind)
				return false
			}
		}
		p.gone(err)
		if !wait.Wait(work) {
			return false
		}
	}
}

// refused makes a failure of an outcome that is not taken. It reports true when that is not taken either, and nothing is left to
// bring.
func (p *Pool) refused(o *worker.Outcome, err error) bool {
	var attrs []any
	p.mu.Lock()
	if a := p.open[o.Token]; a != nil {
		attrs = about(a.Task)
	}
	p.mu.Unlock()
	attrs = append(attrs, "error", err)
	if o.Error != nil {
		p.o.Logger.Error("the daemon rejected an outcome; it was dropped, and the lease will expire", attrs...)
		p.answered([]worker.Result{{Token: o.Token, Code: "refused"}})
		return true
	}
	p.o.Logger.Error("the daemon rejected an outcome; the attempt fails instead", attrs...)
	token := o.Token
	*o = final("outcome_refused", "the daemon refused the outcome: "+err.Error())
	o.Token = token
	return false
}

// answered closes the attempts that the source has answered for.
func (p *Pool) answered(results []worker.Result) {
	p.mu.Lock()
	for _, r := range results {
		a := p.open[r.Token]
		if a == nil {
			continue
		}
		delete(p.open, r.Token)
		switch r.Code {
		case "recorded", "duplicate", "run_finished":
		case "stale_lease", "conflict": // the attempt was over already: timed out, or its lease was lost
			p.o.Logger.Info("an outcome came too late", append(about(a.Task), "code", r.Code)...)
		case "invalid", "refused", "newer_release":
			p.o.Logger.Warn("an outcome was not accepted", append(about(a.Task), "code", r.Code)...)
		default: // of a newer daemon; it has answered, and what it did it knows itself
			p.o.Logger.Warn("an outcome was answered with a code that this release does not know", append(about(a.Task), "code", r.Code)...)
		}
	}
	p.mu.Unlock()
	poke(p.free)
}

// heartbeats renews the leases of everything open until work ends, and sends at once what handlers say.
func (p *Pool) heartbeats(work context.Context) {
	last := time.Now()
	for {
		session, _ := p.at() // a daemon that came back may want them more often
		every := max(session.Heartbeat, 10*time.Millisecond)
		due := time.NewTimer(time.Until(last.Add(every)))
		all := false
		select {
		case <-due.C:
			all, last = true, time.Now()
		case <-p.stopping: // the answer that said what is cancelled may be the one that was not waited for
			all, last = true, time.Now()
		case <-p.rejoined:
		case <-p.beat:
		case <-work.Done():
			due.Stop()
			return
		}
		due.Stop()
		session, generation, beats := p.beats(all)
		if len(beats) == 0 && !all {
			continue
		}
		bounded, stop := context.WithTimeout(work, every)
		gone, err := p.src.Heartbeat(bounded, session.ID, beats)
		stop()
		switch {
		case err == nil:
			p.logged(beats)
			p.cancel(gone)
		case work.Err() != nil:
			return
		case p.src.Kind(err) == NoSession:
			_ = p.join(work, generation)
		default:
			p.o.Logger.Warn("a heartbeat failed", "error", err)
		}
	}
}

// LogDue sends what the handler wrote.
func (a *attempt) LogDue() {
	a.pool.mu.Lock()
	a.logs = true
	a.pool.mu.Unlock()
	poke(a.pool.beat)
}

// logged says that the source has what handlers wrote. What found no room comes next.
func (p *Pool) logged(beats []Beat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.open {
		if a.logs {
			poke(p.beat)
			break
		}
	}
	for _, b := range beats {
		if a := p.open[b.Token]; a != nil && b.Log != nil {
			a.log.Taken(b.Log)
		}
	}
}

// beats says which leases to renew: all, or those of handlers that spoke.
func (p *Pool) beats(all bool) (Session, int, []Beat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var beats []Beat
	room := maxBatchBytes // for logs: the leases of all must not hang on them
	for token, a := range p.open {
		if a.details != nil || a.logs || all {
			beat := Beat{Token: token, Details: a.details}
			if p.session.Logs {
				beat.Log = a.log.Part()
			}
			a.details, a.logs = nil, false
			if l := beat.Log; l != nil {
				if room -= len(l.Text); room < 0 {
					beat.Log, a.logs = nil, true
				}
			}
			beats = append(beats, beat)
		}
	}
	return p.session, p.generation, beats
}
