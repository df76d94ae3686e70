// Package pool is the loop of everybody who runs handlers for an engine over some distance: it takes tasks while it has room,
// starts them, brings their outcomes until they are answered for, renews their leases, and drains when it is told to stop.
// A worker on the other side of a connection and a push service are both a Source with a Pool over it.
//
// The session may be lost at any time: whoever finds that out joins again, with the tokens of what is open, and all goes on. A
// response may be lost too: the same poll, with its sequence number, is sent again.
package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/internal/backoff"
	"github.com/agnt5/agnt5d/internal/crew"
	"github.com/agnt5/agnt5d/worker"
)

// Source is where tasks come from, and where outcomes go. Its methods are called by several goroutines at once.
type Source interface {
	// Join opens a session, or takes one up again: session is the id that it had, "" at first, and tokens name what is open.
	Join(ctx context.Context, session string, tokens []string) (Session, error)
	// Exchange brings outcomes and takes tasks. With outcomes it answers when they are durable.
	Exchange(ctx context.Context, session string, r Request) (Answer, error)
	// Heartbeat renews leases, and gives the tokens that are no longer valid.
	Heartbeat(ctx context.Context, session string, beats []Beat) (gone []string, err error)
	// Leave closes the session: what is open is offered to others at once.
	Leave(ctx context.Context, session string) error
	// Kind says what an error of the other methods means.
	Kind(err error) Kind
}

// Kind is what an error means.
type Kind int

// Kinds of errors.
const (
	Again     Kind = iota // the same may succeed in a moment
	NoSession             // the session is not known: join again
	Refused               // the same is never taken
	Denied                // nothing is taken, whatever it is: who asks may not
	Strange               // nobody knows: whoever has outcomes keeps trying, others give up
	Over                  // nothing can be had from this source any more
)

// Session is an answer to Join.
type Session struct {
	ID        string
	Heartbeat time.Duration // how often to send one
	MaxWait   time.Duration // the longest that an Exchange waits for tasks
	Lost      []string      // tokens that are no longer valid
	Logs      bool          // it keeps what handlers write to their logs
}

// Request is one exchange.
type Request struct {
	Seq      uint64 // grows with each new request for tasks; the same again gives the same answer
	Max      int    // tasks wanted; 0: none
	Wait     time.Duration
	Outcomes []worker.Outcome
}

// Answer is what an exchange gives: one result for each outcome, in order, and tokens that are no longer valid.
type Answer struct {
	Tasks     []*worker.Task
	Results   []worker.Result
	Cancelled []string
}

// Beat is one lease to renew. Details, null too, are what the handler itself said; Log is what it wrote to its log.
type Beat struct {
	Token   string
	Details json.RawMessage
	Log     *worker.LogPart
}

// Options are a pool's settings.
type Options struct {
	// Capacity is how many attempts are open at once.
	Capacity int
	// Drain is how long handlers may take when no more tasks are taken. 0: until their own context ends; negative: no time.
	Drain time.Duration
	// MaxOutcome is the most that outcomes may hold, in bytes of payload; a larger one fails its attempt. 0: no limit.
	MaxOutcome int
	// Run runs one attempt and sets its outcome. It may end its goroutine.
	Run func(ctx context.Context, t *worker.Task, o *worker.Outcome)
	// Last says whether the step has no further attempt. nil: nobody knows.
	Last func(t *worker.Task) bool
	// Logger hears what an operator should know.
	Logger *slog.Logger
}

// Pool runs handlers for a Source. Make it with New; Run it once.
type Pool struct {
	src Source
	o   Options

	lost       atomic.Bool // the source does not answer, and that was said
	joining    sync.Mutex  // one goroutine joins at a time
	mu         sync.Mutex
	session    Session
	generation int                 // of the session
	open       map[string]*attempt // by token, until the source has answered for its outcome
	done       []worker.Outcome    // outcomes to send
	taken      bool                // those that come are for take, which brings them with its next request
	came       chan struct{}       // capacity 1: there is one for take
	free       chan struct{}       // capacity 1: an attempt has ended
	ready      chan struct{}       // capacity 1: there is an outcome to send
	beat       chan struct{}       // capacity 1: a handler spoke
	rejoined   chan struct{}       // capacity 1: there is a new session, with an interval of its own
	stopping   chan struct{}       // capacity 1: no more tasks are taken
	over       chan struct{}       // closed: see Over
	ended      sync.Once           // closes over
	crew       crew.Crew[*attempt]
}

// attempt is one attempt in this pool's hands, and the context of its handler.
type attempt struct {
	crew.Attempt
	details json.RawMessage // of the handler's own heartbeat, to be sent; nil: it has not spoken since
	log     worker.LogBuffer
	logs    bool // there is something in log to be sent at once
	pool    *Pool
}

// New gives a pool.
func New(src Source, o Options) *Pool {
	signal := func() chan struct{} { return make(chan struct{}, 1) }
	return &Pool{src: src, o: o, open: map[string]*attempt{}, free: signal(), ready: signal(), beat: signal(), rejoined: signal(), stopping: signal(), came: signal(), over: make(chan struct{})}
}

// Left is the error of Run when handlers had not returned in time.
type Left struct {
	After time.Duration
	Tasks []*worker.Task
}

func (l *Left) Error() string {
	var names []string
	for _, t := range l.Tasks[:min(len(l.Tasks), 10)] {
		names = append(names, fmt.Sprintf("run %s, step %s, attempt %d", t.WorkflowID, t.Step, t.Attempt))
	}
	if more := len(l.Tasks) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("handlers did not return within %s; their steps are offered to others: %s", l.After, strings.Join(names, "; "))
}

// senders is how many requests bring outcomes at once: while one waits for the disk, the next fills.
const senders = 2

// Run serves until taking ends. Then it takes no more, waits for the handlers, brings their outcomes and leaves; when work ends
// too, what is still under way is given up. It returns an error at once when the source refuses it for good.
func (p *Pool) Run(taking, work context.Context) error {
	work, end := context.WithCancel(work)
	defer end()
	if err := p.join(taking, 0); err != nil {
		if taking.Err() != nil { // stopped before the source was reached: as clean as any stop
			return nil
		}
		return err
	}
	var helpers sync.WaitGroup
	helpers.Go(func() { p.heartbeats(work) })
	for range senders {
		helpers.Go(func() { p.report(work) })
	}
	err := p.take(taking, work)
	poke(p.stopping)
	drained := p.drain(work)
	end()
	var left []*worker.Task
	p.mu.Lock()
	for _, a := range p.open {
		a.Cancel(context.Canceled)
		left = append(left, a.Task)
	}
	p.mu.Unlock()
	p.crew.Dismiss()
	helpers.Wait()
	p.leave()
	if err == nil && !drained {
		err = &Left{max(p.o.Drain, 0), left}
	}
	return err
}

// join opens the session, or takes it up again when the source does not know it any more. generation is the session that the
// caller found gone; another one of the pool's goroutines may have joined meanwhile.
func (p *Pool) join(ctx context.Context, generation int) error {
	p.joining.Lock()
	defer p.joining.Unlock()
	for wait := tries(); ; {
		session, now := p.at()
		if now != generation {
			return nil
		}
		p.mu.Lock()
		tokens := slices.Collect(maps.Keys(p.open))
		p.mu.Unlock()
		got, err := p.src.Join(ctx, session.ID, tokens)
		if err == nil {
			p.mu.Lock()
			p.session = got
			p.generation++
			p.mu.Unlock()
			p.lost.Store(false)
			poke(p.rejoined)
			p.cancel(got.Lost)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if kind := p.src.Kind(err); kind != Again {
			p.mark(kind)
			return err
		}
		p.gone(err)
		if !wait.Wait(ctx) {
			return ctx.Err()
		}
	}
}

func tries() *backoff.Backoff {
	return &backoff.Backoff{First: 50 * time.Millisecond, Most: 5 * time.Second}
}

// mark remembers that nothing can be had any more.
func (p *Pool) mark(kind Kind) {
	if kind == Over {
		p.ended.Do(func() { close(p.over) })
	}
}

// gone says that the source does not answer, or refuses everything, once until it does again.
func (p *Pool) gone(err error) {
	if !p.lost.CompareAndSwap(false, true) {
		return
	}
	if kind := p.src.Kind(err); kind == Denied || kind == Refused {
		p.o.Logger.Warn("the daemon refuses this worker; retrying, and keeping outcomes until it is taken", "error", err)
		return
	}
	p.o.Logger.Warn("the daemon does not answer; retrying, and keeping outcomes until it does", "error", err)
}

func (p *Pool) back() {
	if p.lost.Load() && p.lost.CompareAndSwap(true, false) {
		p.o.Logger.Info("the daemon answers again")
	}
}

func (p *Pool) at() (session Session, generation int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session, p.generation
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// drain waits for the handlers and their outcomes. It reports false when they took too long.
func (p *Pool) drain(work context.Context) bool {
	var late <-chan time.Time // never
	if p.o.Drain != 0 {
		t := time.NewTimer(max(p.o.Drain, 0))
		defer t.Stop()
		late = t.C
	}
	for {
		p.mu.Lock()
		n := len(p.open)
		p.mu.Unlock()
		if n == 0 {
			return true
		}
		select {
		case <-p.free:
		case <-late:
			return false
		case <-p.over:
			return true // nobody takes the outcomes
		case <-work.Done():
			return true // they were given up
		}
	}
}

// leave tells the source, which offers what is open to others.
func (p *Pool) leave() {
	select {
	case <-p.over:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	session, _ := p.at()
	if err := p.src.Leave(ctx, session.ID); err != nil && p.src.Kind(err) != NoSession {
		p.o.Logger.Warn("could not tell the daemon that this worker is leaving", "error", err)
	}
}
