package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/internal/pool"
	"github.com/agnt5/agnt5d/worker"
)

var (
	errLost      = errors.New("the line broke")
	errNoSession = errors.New("no such session")
	errRefused   = errors.New("never")
	errStrange   = errors.New("what is this")
	errOver      = errors.New("closed")
)

// fake is a source that keeps its books in memory, and fails when it is told to.
type fake struct {
	mu       sync.Mutex
	session  string
	joins    [][]string // the tokens that each Join named
	left     int        // Leave was called
	queue    []*worker.Task
	leased   map[string]bool
	most     int                       // leases at once
	seq      uint64                    // of the last request for tasks
	again    []*worker.Task            // its answer
	recorded map[string]worker.Outcome // by token
	requests int                       // with outcomes
	calls    int                       // requests with outcomes, for tasks, or both
	beats    map[string][]string       // details that came, by token
	gone     []string                  // what the next answers say of cancelled tokens
	woken    chan struct{}             // closed and made anew when there is something
	let      chan struct{}             // closed: handlers of the test may return

	joinFails     []error // errors of the next joins, before anything is done
	take          []error // of the next requests for tasks
	bring         []error // of the next requests with outcomes
	lose          int     // so many answers to requests are lost after they were carried out
	refuse        map[string]bool
	chain         int  // so many outcomes make another task ready
	extra         bool // it gives more than it was asked for
	silentResults bool
}

func source(tasks ...*worker.Task) *fake {
	return &fake{queue: tasks, leased: map[string]bool{}, recorded: map[string]worker.Outcome{}, beats: map[string][]string{}, refuse: map[string]bool{}}
}

func tasks(n int) (all []*worker.Task) {
	for i := range n {
		all = append(all, &worker.Task{Token: fmt.Sprintf("t%d", i), WorkflowID: fmt.Sprintf("run-%d", i), Step: "s", Attempt: 1, HandlerName: "h"})
	}
	return all
}

// do runs fn with the fake's books in hand.
func (f *fake) do(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
	close(f.woken)
	f.woken = make(chan struct{})
}

func next(list *[]error) error {
	if len(*list) == 0 {
		return nil
	}
	err := (*list)[0]
	*list = (*list)[1:]
	return err
}

func (f *fake) Join(_ context.Context, _ string, tokens []string) (pool.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := next(&f.joinFails); err != nil {
		return pool.Session{}, err
	}
	f.joins = append(f.joins, tokens)
	f.session = fmt.Sprintf("w%d", len(f.joins))
	f.seq = 0
	return pool.Session{ID: f.session, Heartbeat: time.Second, MaxWait: 30 * time.Second}, nil
}

func (f *fake) Exchange(ctx context.Context, session string, r pool.Request) (pool.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if session != f.session {
		return pool.Answer{}, errNoSession
	}
	var out pool.Answer
	f.calls++
	if len(r.Outcomes) > 0 {
		f.requests++
		if err := next(&f.bring); err != nil {
			return out, err
		}
		for _, o := range r.Outcomes {
			if f.refuse[o.Token] && o.Error == nil {
				return out, errRefused
			}
		}
		for _, o := range r.Outcomes {
			code := "recorded"
			if _, had := f.recorded[o.Token]; had {
				code = "duplicate"
			}
			f.recorded[o.Token] = o
			delete(f.leased, o.Token)
			if code == "recorded" && f.chain > 0 {
				f.queue = append(f.queue, &worker.Task{Token: fmt.Sprintf("c%d", f.chain), WorkflowID: "chain", Step: "s", Attempt: 1, HandlerName: "h"})
				f.chain--
				close(f.woken)
				f.woken = make(chan struct{})
			}
			out.Results = append(out.Results, worker.Result{Token: o.Token, Code: code})
		}
		if f.silentResults {
			out.Results, f.silentResults = nil, false
		}
	}
	if r.Max > 0 {
		if err := next(&f.take); err != nil {
			return out, err
		}
		if r.Seq != f.seq {
			f.again = nil
			if len(r.Outcomes) > 0 { // its worker wants to know
				r.Wait = 0
			}
			for until := time.Now().Add(r.Wait); len(f.queue) == 0 && len(f.gone) == 0 && time.Now().Before(until) && session == f.session; {
				woken := f.woken
				f.mu.Unlock()
				select {
				case <-woken:
				case <-ctx.Done():
				case <-time.After(time.Until(until)):
				}
				f.mu.Lock()
				if ctx.Err() != nil {
					return out, ctx.Err()
				}
			}
			n := min(r.Max, len(f.queue))
			if f.extra {
				n = len(f.queue)
			}
			f.again, f.queue, f.seq = f.queue[:n], f.queue[n:], r.Seq
			for _, t := range f.again {
				f.leased[t.Token] = true
			}
			f.most = max(f.most, len(f.leased))
		}
		out.Tasks, out.Cancelled, f.gone = f.again, f.gone, nil
	}
	if f.lose > 0 {
		f.lose--
		return pool.Answer{}, errLost
	}
	return out, nil
}

func (f *fake) Heartbeat(_ context.Context, session string, beats []pool.Beat) (gone []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if session != f.session {
		return nil, errNoSession
	}
	for _, b := range beats {
		f.beats[b.Token] = append(f.beats[b.Token], string(b.Details))
	}
	gone, f.gone = f.gone, nil
	return gone, nil
}

func (f *fake) Leave(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left++
	return nil
}

func (f *fake) Kind(err error) pool.Kind {
	for e, kind := range map[error]pool.Kind{errNoSession: pool.NoSession, errRefused: pool.Refused, errStrange: pool.Strange, errOver: pool.Over} {
		if errors.Is(err, e) {
			return kind
		}
	}
	return pool.Again
}

// story runs a pool over a fake, in time that passes when everybody waits.
type story struct {
	*testing.T
	*fake
	log  bytes.Buffer
	o    pool.Options
	stop context.CancelFunc
	give context.CancelFunc // up
	end  chan error
}

func tell(t *testing.T, f *fake, o pool.Options, body func(s *story)) {
	synctest.Test(t, func(t *testing.T) {
		f.woken, f.let = make(chan struct{}), make(chan struct{}) // of this bubble of time
		s := &story{T: t, fake: f, o: o, end: make(chan error, 1)}
		s.o.Logger = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if s.o.Capacity == 0 {
			s.o.Capacity = 10
		}
		if s.o.Drain == 0 {
			s.o.Drain = 10 * time.Second
		}
		if s.o.Run == nil {
			s.o.Run = func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
				*o = worker.Outcome{Status: worker.Completed, Output: json.RawMessage("1")}
			}
		}
		work, give := context.WithCancel(context.Background())
		taking, stop := context.WithCancel(work)
		s.stop, s.give = stop, give
		defer give()
		go func() { s.end <- pool.New(f, s.o).Run(taking, work) }()
		body(s)
	})
}

// passes lets time pass.
func (s *story) passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// ends stops the pool and gives what Run returned.
func (s *story) ends() error {
	s.Helper()
	s.stop()
	select {
	case err := <-s.end:
		return err
	case <-time.After(time.Hour):
		s.Fatal("it does not end")
		return nil
	}
}

// all says that every one of n tasks has a recorded outcome, and that nothing is leased.
func (s *story) all(n int) {
	s.Helper()
	s.do(func() {
		if len(s.recorded) != n || len(s.leased) != 0 {
			s.Errorf("%d outcomes of %d, %d leases", len(s.recorded), n, len(s.leased))
		}
	})
}

func TestManyOutcomesTravelTogetherAndCapacityHolds(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	o := pool.Options{Capacity: 7, Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		now--
		mu.Unlock()
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, source(tasks(700)...), o, func(s *story) {
		s.passes(10 * time.Minute)
		s.all(700)
		if err := s.ends(); err != nil || s.left != 1 {
			t.Errorf("%v, left %d times", err, s.left)
		}
		if most != 7 || s.most > 7 || s.calls > 600 {
			t.Errorf("%d handlers at once, %d leases, %d requests", most, s.most, s.calls)
		}
	})
}

// A step of a chain is one request: its outcome goes to the source with the wish for the next task, and the answer has that.
func TestAnOutcomeTakesTheNextTaskAlong(t *testing.T) {
	f := source(tasks(1)...)
	f.chain = 99
	o := pool.Options{Capacity: 10, Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		s.all(100)
		s.do(func() {
			if s.calls > 110 {
				t.Errorf("%d requests for 100 steps", s.calls)
			}
		})
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// What is wrong with an outcome is no reason to take no more tasks: the same request is made without it.
func TestARequestThatIsRefusedForItsOutcomeIsMadeWithout(t *testing.T) {
	f := source(tasks(1)...)
	f.chain, f.refuse = 9, map[string]bool{"t0": true, "c5": true}
	o := pool.Options{Capacity: 10, Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		s.all(10)
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

func TestASourceThatGivesTooMuchIsNotFollowed(t *testing.T) {
	f := source(tasks(20)...)
	f.extra = true
	var mu sync.Mutex
	n := 0
	o := pool.Options{Capacity: 3, Run: func(ctx context.Context, _ *worker.Task, _ *worker.Outcome) {
		mu.Lock()
		n++
		mu.Unlock()
		<-ctx.Done()
	}}
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		if n != 3 || !strings.Contains(s.log.String(), "more tasks arrived than were requested") {
			t.Errorf("%d handlers run\n%s", n, s.log.String())
		}
		s.give()
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// A task that comes again while its attempt is open is the same attempt.
func TestATaskThatComesTwiceRunsOnce(t *testing.T) {
	var mu sync.Mutex
	n := 0
	f := source(tasks(1)...)
	o := pool.Options{Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		mu.Lock()
		n++
		mu.Unlock()
		<-f.let
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		s.do(func() { s.queue = tasks(1) })
		s.passes(time.Second)
		close(f.let)
		s.passes(time.Second)
		s.all(1)
		if err := s.ends(); err != nil || n != 1 {
			t.Errorf("it ran %d times: %v", n, err)
		}
	})
}

// What was carried out and whose answer was lost is asked for again, and gives the same: nothing runs twice, nothing is lost.
func TestLostAnswersLoseNothing(t *testing.T) {
	var mu sync.Mutex
	runs := map[string]int{}
	o := pool.Options{Capacity: 3, Run: func(_ context.Context, t *worker.Task, o *worker.Outcome) {
		mu.Lock()
		runs[t.Token]++
		mu.Unlock()
		*o = worker.Outcome{Status: worker.Completed}
	}}
	f := source(tasks(30)...)
	f.lose = 8
	tell(t, f, o, func(s *story) {
		s.passes(time.Hour)
		s.all(30)
		for token, n := range runs {
			if n != 1 {
				t.Errorf("%s ran %d times", token, n)
			}
		}
		if err := s.ends(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(s.log.String(), "the daemon does not answer"); n == 0 || n > 8 || !strings.Contains(s.log.String(), "answers again") {
			t.Errorf("it was said %d times\n%s", n, s.log.String())
		}
	})
}

// The source forgets the session while handlers run: the pool comes back with their tokens, and brings their outcomes to the new one.
func TestTheSessionIsLostAndTakenUpAgain(t *testing.T) {
	f := source(tasks(2)...)
	o := pool.Options{Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		<-f.let
		*o = worker.Outcome{Status: worker.Completed}
	}}
	f.joinFails = []error{errLost, errLost}
	tell(t, f, o, func(s *story) {
		s.passes(500 * time.Millisecond)
		s.do(func() { s.session, s.joinFails = "another", []error{errLost} })
		s.passes(time.Minute)
		s.do(func() {
			if len(s.joins) != 2 || len(s.joins[1]) != 2 {
				t.Errorf("joined with %v", s.joins)
			}
		})
		close(f.let)
		s.passes(time.Minute)
		s.all(2)
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// A cancelled attempt's context ends with its cause, whichever answer says so, and its outcome is brought all the same.
func TestCancelledAttemptsHearOfIt(t *testing.T) {
	var mu sync.Mutex
	heard := map[string]error{}
	o := pool.Options{Capacity: 2, Run: func(ctx context.Context, t *worker.Task, o *worker.Outcome) {
		<-ctx.Done()
		mu.Lock()
		heard[t.Token] = context.Cause(ctx)
		mu.Unlock()
		*o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Message: ctx.Err().Error()}}
	}}
	tell(t, source(tasks(2)...), o, func(s *story) {
		s.passes(time.Millisecond)
		s.do(func() { s.gone = []string{"t0", "unknown"} }) // both are busy: a heartbeat brings it
		s.passes(2 * time.Second)
		s.do(func() { s.gone = []string{"t1"} }) // there is room: a request for tasks brings it
		s.passes(2 * time.Second)
		s.all(2)
		for _, token := range []string{"t0", "t1"} {
			if heard[token] == nil || !strings.Contains(heard[token].Error(), "stop working") {
				t.Errorf("%s heard %v", token, heard[token])
			}
		}
		if strings.Contains(s.log.String(), "level=WARN") {
			t.Errorf("a cancelled attempt is no news\n%s", s.log.String())
		}
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// An attempt is cancelled in the moment in which the pool stops, and the answer that says so is not waited for: its handler hears of it all the same.
func TestACancelWhileThePoolStopsIsHeard(t *testing.T) {
	o := pool.Options{Run: func(ctx context.Context, _ *worker.Task, o *worker.Outcome) {
		<-ctx.Done()
		*o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Message: context.Cause(ctx).Error()}}
	}}
	tell(t, source(tasks(1)...), o, func(s *story) {
		s.passes(1500 * time.Millisecond) // between two heartbeats
		s.stop()
		synctest.Wait()
		if len(s.end) > 0 || len(s.beats["t0"]) != 2 {
			t.Errorf("it has sent %d heartbeats, want one more than those that were due", len(s.beats["t0"]))
		}
		s.do(func() { s.gone = []string{"t0"} })
		if err := s.ends(); err != nil {
			t.Error(err)
		}
		s.all(1)
	})
	tell(t, source(tasks(1)...), o, func(s *story) {
		s.passes(1500 * time.Millisecond)
		s.mu.Lock()
		s.stop()
		s.gone = []string{"t0"} // after the request for tasks was given up, and before anything else is asked
		s.mu.Unlock()
		if synctest.Wait(); len(s.end) == 0 {
			t.Error("the handler has not heard of it")
		}
		if err := s.ends(); err != nil {
			t.Error(err)
		}
		s.all(1)
	})
}

func TestHeartbeatsRenewAllAndCarryWhatHandlersSay(t *testing.T) {
	o := pool.Options{Run: func(ctx context.Context, t *worker.Task, o *worker.Outcome) {
		if t.Token == "t0" {
			if err := t.Heartbeat(map[string]int{"done": 3}); err != nil {
				panic(err)
			}
			if err := t.Heartbeat(strings.Repeat("x", 5000)); err == nil || !strings.Contains(err.Error(), "the limit is 4096") {
				panic(fmt.Sprint("large details: ", err))
			}
		}
		time.Sleep(3500 * time.Millisecond)
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, source(tasks(2)...), o, func(s *story) {
		s.passes(time.Minute)
		if got := fmt.Sprintf("%q", s.beats); got != `map["t0":["{\"done\":3}" "" "" ""] "t1":["" "" ""]]` {
			t.Error(got)
		}
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// Told to stop, the pool waits for its handlers, takes nothing new, and names those that do not return.
func TestDrain(t *testing.T) {
	long := map[string]time.Duration{"t0": 5 * time.Second, "t1": time.Hour}
	o := pool.Options{Drain: 10 * time.Second, Run: func(_ context.Context, t *worker.Task, o *worker.Outcome) {
		time.Sleep(long[t.Token]) // whatever its context says
		*o = worker.Outcome{Status: worker.Completed}
	}}
	tell(t, source(tasks(1)...), o, func(s *story) {
		s.passes(time.Second)
		began := time.Now()
		s.do(func() { s.queue = tasks(3)[2:] })
		s.passes(time.Second) // it was running: this one is taken
		if err := s.ends(); err != nil || time.Since(began) > 6*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		s.all(2)
	})
	tell(t, source(tasks(2)...), o, func(s *story) {
		s.passes(time.Second)
		began := time.Now()
		err := s.ends()
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it took %s", took)
		}
		var left *pool.Left
		if !errors.As(err, &left) || len(left.Tasks) != 1 || err.Error() != "handlers did not return within 10s; their steps are offered to others: run run-1, step s, attempt 1" {
			t.Errorf("got %v", err)
		}
		if len(s.recorded) != 1 || s.left != 1 {
			t.Errorf("%d outcomes, left %d times", len(s.recorded), s.left)
		}
		time.Sleep(2 * time.Hour) // the handler returns to nobody
	})
	o.Drain = -1
	tell(t, source(tasks(2)...), o, func(s *story) {
		s.passes(time.Second)
		began := time.Now()
		if err := s.ends(); err == nil || time.Since(began) > 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		time.Sleep(2 * time.Hour)
	})
}

// Outcomes that the source never takes hold up nobody: the one at fault fails its attempt instead.
func TestARefusedOutcomeFailsItsAttemptAlone(t *testing.T) {
	f := source(tasks(20)...)
	o := pool.Options{Capacity: 20, Run: func(_ context.Context, _ *worker.Task, o *worker.Outcome) {
		<-f.let
		*o = worker.Outcome{Status: worker.Completed}
	}}
	f.refuse["t7"] = true
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		close(f.let)
		s.passes(time.Minute)
		s.all(20)
		for token, o := range s.recorded {
			if want := token == "t7"; (o.Error != nil && o.Error.Code == "outcome_refused" && !*o.Error.Retryable) != want {
				t.Errorf("%s: %+v", token, o)
			}
		}
		if !strings.Contains(s.log.String(), `level=ERROR msg="the daemon rejected an outcome; the attempt fails instead" run=run-7 step=s attempt=1 error=never`) {
			t.Error(s.log.String())
		}
		if err := s.ends(); err != nil {
			t.Error(err)
		}
	})
}

// An answer that nobody understands ends a pool that asks for tasks, and never loses an outcome.
func TestWhatCannotBeUnderstood(t *testing.T) {
	f := source(tasks(1)...)
	f.bring, f.silentResults = []error{errStrange, errStrange}, true
	tell(t, f, pool.Options{}, func(s *story) {
		s.passes(time.Minute)
		s.all(1)
		s.do(func() { s.take = []error{errStrange} })
		s.passes(2 * time.Minute)
		if err := s.ends(); !errors.Is(err, errStrange) {
			t.Errorf("got %v", err)
		}
	})
}

func TestASourceThatIsClosedEndsThePool(t *testing.T) {
	f := source(tasks(1)...)
	o := pool.Options{Drain: time.Hour, Run: func(_ context.Context, _ *worker.Task, _ *worker.Outcome) { <-f.let }}
	tell(t, f, o, func(s *story) {
		s.passes(time.Second)
		s.do(func() { s.take = []error{errOver} })
		s.passes(time.Minute)
		if err := <-s.end; !errors.Is(err, errOver) || s.left != 0 {
			t.Errorf("got %v, left %d times", err, s.left)
		}
		close(f.let)
	})
	f = source()
	f.joinFails = []error{errRefused}
	tell(t, f, pool.Options{}, func(s *story) {
		if err := <-s.end; !errors.Is(err, errRefused) {
			t.Errorf("got %v", err)
		}
	})
}

// The log names what fails: run, step, attempt and error; with the step's last attempt the stack.
func TestTheLogSaysWhatFails(t *testing.T) {
	all := tasks(3)
	all[1].Attempt = 2
	no := false
	o := pool.Options{Last: func(t *worker.Task) bool { return t.Attempt == 2 }, Run: func(_ context.Context, t *worker.Task, o *worker.Outcome) {
		if t.Token == "t2" {
			*o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Message: "bad input", Code: "c", Retryable: &no, Stack: "here"}}
			return
		}
		worker.Run(context.Background(), func(context.Context, *worker.Task) (json.RawMessage, error) { panic("boom") }, t, o)
	}}
	tell(t, source(all...), o, func(s *story) {
		s.passes(time.Second)
		s.all(3)
		if err := s.ends(); err != nil {
			t.Error(err)
		}
		text := s.log.String()
		for _, want := range []string{
			`level=WARN msg="a handler failed, and may be tried again" run=run-0 step=s attempt=1 handler=h error="panic: boom" code=panic` + "\n",
			`level=WARN msg="a handler failed" run=run-1 step=s attempt=2 handler=h error="panic: boom" code=panic stack=`,
			`level=WARN msg="a handler failed" run=run-2 step=s attempt=1 handler=h error="bad input" code=c stack=here` + "\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("want %s in\n%s", want, text)
			}
		}
	})
}
