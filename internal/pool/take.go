package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/agnt5/agnt5d/internal/crew"
	"github.com/agnt5/agnt5d/worker"
)

// moment is how long take waits for an outcome of the tasks that it has just started: it takes the next tasks along, in one request.
const moment = time.Millisecond

// take asks for tasks and starts them until taking ends. Outcomes that are there by then go with the request; when it fails, they are
// left to report.
func (p *Pool) take(taking, work context.Context) error {
	wait, started, alone := tries(), false, false
	for seq := uint64(1); ; {
		room, batch := p.next(taking, started, alone)
		if taking.Err() != nil {
			p.giveBack(batch)
			return nil
		}
		session, generation := p.at()
		got, err := p.src.Exchange(taking, session.ID, Request{Seq: seq, Max: room, Wait: session.MaxWait, Outcomes: batch})
		if err == nil {
			p.back()
			seq++
			wait.Reset()
			if alone = false; len(got.Results) == len(batch) {
				p.answered(got.Results)
			} else {
				p.giveBack(batch)
			}
			p.cancel(got.Cancelled)
			started = p.start(work, got.Tasks, room)
			continue
		}
		p.giveBack(batch)
		if taking.Err() != nil {
			return nil
		}
		switch kind := p.src.Kind(err); {
		case kind == NoSession:
			if err := p.join(taking, generation); err != nil && taking.Err() == nil {
				return err
			}
			seq++
		case len(batch) > 0: // it may be for an outcome: the same request is made without them
			alone = true
		case kind == Again:
			p.gone(err)
			wait.Wait(taking)
		default:
			p.mark(kind)
			return err
		}
	}
}

// next waits until there is room for more tasks, and gives for how many, and the outcomes to bring along. started: there may be some in
// a moment; alone: none are brought.
func (p *Pool) next(taking context.Context, started, alone bool) (room int, batch []worker.Outcome) {
	select {
	case <-p.came: // of the last time
	default:
	}
	p.keep(!alone)
	defer p.keep(false)
	if started && !alone {
		soon := time.NewTimer(moment)
		select {
		case <-p.came:
			runtime.Gosched() // handlers that are about to return bring their outcomes to this request
		case <-soon.C:
		case <-taking.Done():
		}
		soon.Stop()
	}
	for taking.Err() == nil {
		if !alone {
			batch = p.batch()
		}
		p.mu.Lock()
		room = p.o.Capacity - len(p.open) + len(batch)
		p.mu.Unlock()
		if room > 0 {
			break
		}
		select {
		case <-p.free:
		case <-p.came:
			runtime.Gosched()
		case <-taking.Done():
		}
	}
	return room, batch
}

// keep says whether outcomes that come are for take, or for report.
func (p *Pool) keep(taken bool) {
	p.mu.Lock()
	p.taken = taken
	left := len(p.done) > 0
	p.mu.Unlock()
	if left && !taken {
		poke(p.ready)
	}
}

// giveBack leaves outcomes that were not brought to report.
func (p *Pool) giveBack(batch []worker.Outcome) {
	if len(batch) == 0 {
		return
	}
	p.mu.Lock()
	p.done = append(batch, p.done...)
	p.mu.Unlock()
	poke(p.ready)
}

// errCancelled is the cause with which a handler's context ends.
var errCancelled = errors.New("the run was cancelled or the lease was lost: stop working on this attempt")

const maxDetails = 4 << 10

// start runs the handlers of tasks. It reports whether there were any.
func (p *Pool) start(work context.Context, tasks []*worker.Task, room int) bool {
	all := make([]attempt, len(tasks))
	fresh := all[:0]
	p.mu.Lock()
	for _, t := range tasks {
		if p.open[t.Token] != nil { // the answer came twice
			continue
		}
		if len(fresh) == room {
			p.o.Logger.Warn("more tasks arrived than were requested; their leases will expire", "asked", room, "came", len(tasks))
			break
		}
		fresh = append(fresh, attempt{Attempt: crew.Attempt{Task: t, Parent: work}, pool: p})
		p.open[t.Token] = &fresh[len(fresh)-1]
	}
	p.mu.Unlock()
	for i := range fresh {
		a := &fresh[i]
		a.Task.OnHeartbeat(a)
		a.log.Taker = a
		a.Task.OnLog(&a.log)
		p.crew.Hand(a, p.work)
	}
	return len(fresh) > 0
}

// Beat hears a handler's own heartbeat.
func (a *attempt) Beat(details json.RawMessage) error {
	if err := context.Cause(a); err != nil {
		return err
	}
	if len(details) > maxDetails {
		return fmt.Errorf("heartbeat details of %d bytes, the limit is %d", len(details), maxDetails)
	}
	a.pool.mu.Lock()
	a.details = details
	a.pool.mu.Unlock()
	poke(a.pool.beat)
	return nil
}

func (p *Pool) work(a *attempt) {
	var o worker.Outcome
	defer p.finished(a, &o) // deferred: a handler may end this goroutine
	p.o.Run(a, a.Task, &o)
}

// finished keeps what came of an attempt until the source has answered for it.
func (p *Pool) finished(a *attempt, o *worker.Outcome) {
	wanted := a.Err() == nil
	a.Cancel(context.Canceled) // what the handler left running
	if size := size(o); p.o.MaxOutcome > 0 && size > p.o.MaxOutcome {
		*o = final("outcome_too_large", fmt.Sprintf("the handler's output and object state are %d bytes, no daemon takes more than %d", size, p.o.MaxOutcome))
	}
	p.sayFailed(a.Task, o.Error, wanted)
	o.Token = a.Task.Token
	a.log.Close()
	p.mu.Lock()
	if p.session.Logs {
		o.Log = a.log.Part()
	}
	p.done = append(p.done, *o)
	whose := p.ready
	if p.taken {
		whose = p.came
	}
	p.mu.Unlock()
	poke(whose)
}

// size is how many bytes of payload an outcome has.
func size(o *worker.Outcome) int {
	n := len(o.Output)
	for _, state := range o.Objects {
		n += len(state)
	}
	return n
}

// final is the outcome of an attempt that no retry can mend.
func final(code, message string) worker.Outcome {
	no := false
	return worker.Outcome{Status: worker.Failed, Error: &worker.Error{Code: code, Message: message, Retryable: &no}}
}

// about names an attempt in the log.
func about(t *worker.Task) []any {
	return []any{"run", t.WorkflowID, "step", t.Step, "attempt", t.Attempt}
}

// sayFailed logs an attempt that failed, its stack with the step's last.
func (p *Pool) sayFailed(t *worker.Task, e *worker.Error, wanted bool) {
	if e == nil {
		return
	}
	attrs := append(about(t), "handler", t.HandlerName, "error", e.Message, "code", e.Code)
	level, what := slog.LevelWarn, "a handler failed"
	switch {
	case !wanted:
		level, what = slog.LevelDebug, "a handler failed after its attempt was cancelled"
	case (e.Retryable == nil || *e.Retryable) && p.o.Last != nil && !p.o.Last(t):
		what = "a handler failed, and may be tried again"
	case e.Stack != "":
		attrs = append(attrs, "stack", e.Stack)
	}
	p.o.Logger.Log(context.Background(), level, what, attrs...)
}

// cancel ends the handlers of attempts that nobody waits for.
func (p *Pool) cancel(tokens []string) {
	for _, token := range tokens {
		p.mu.Lock()
		a := p.open[token]
		p.mu.Unlock()
		if a != nil {
			a.Cancel(errCancelled)
		}
	}
}
