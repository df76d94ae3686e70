package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/worker"
)

// pump takes tasks of one service from the engine, POSTs them, and brings the outcomes back.
type pump struct {
	s      Service
	m      *Manager
	call   *caller
	ctx    context.Context // ends when the service is removed or changed
	cancel context.CancelFunc
	taking context.Context // ends when it takes no more tasks
	halt   context.CancelFunc
	gone   chan struct{} // closed: the pump has ended

	mu    sync.Mutex
	open  map[string]context.CancelFunc // token -> its request
	room  chan struct{}                 // capacity 1: a request has ended
	under sync.WaitGroup

	beating sync.Once
}

func (m *Manager) pump(s Service) *pump {
	p := &pump{s: s, m: m, call: newCaller(s, m.o), gone: make(chan struct{}), open: map[string]context.CancelFunc{}, room: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.taking, p.halt = context.WithCancel(p.ctx)
	go p.run()
	return p
}

func (p *pump) id() string { return SessionPrefix + p.s.Name }

// stop gives everything back at once.
func (p *pump) stop() {
	p.cancel()
	<-p.gone
	p.under.Wait()
	_ = p.m.eng.Leave(context.Background(), p.id())
}

// drain waits for the requests under way.
func (p *pump) drain(ctx context.Context) {
	p.halt()
	idle := make(chan struct{})
	go func() {
		<-p.gone
		p.under.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	p.cancel()
}

const retryAfter = time.Second // when the engine refuses for now

func (p *pump) run() {
	defer close(p.gone)
	defer p.call.close()
	for p.taking.Err() == nil {
		joined, err := p.m.eng.Join(p.taking, engine.JoinRequest{WorkerID: p.id(), Service: p.s.Name, Handlers: p.s.Handlers, Capacity: p.s.Capacity})
		if err != nil {
			if p.over(err) {
				return
			}
			p.pause()
			continue
		}
		if p.session(joined) {
			return
		}
	}
}

// over says that no more can be had from this engine; another error is waited out.
func (p *pump) over(err error) bool {
	if p.taking.Err() != nil || errors.Is(err, engine.ErrClosed) || p.m.eng.Err() != nil {
		return true
	}
	p.m.o.Logger.Warn("push service waits", "service", p.s.Name, "error", err)
	return false
}

func (p *pump) pause() {
	t := time.NewTimer(retryAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.taking.Done():
	}
}

// session takes tasks until it must stop (true) or join again (false).
func (p *pump) session(joined engine.Joined) bool {
	p.beating.Do(func() { go p.beat(joined.Heartbeat) })
	for seq := uint64(1); ; seq++ {
		free := p.free()
		if free == 0 {
			return true
		}
		got, err := p.m.eng.Poll(p.taking, p.id(), engine.PollRequest{Seq: seq, Max: free, Wait: joined.MaxWait})
		for _, token := range got.Cancelled {
			p.forget(token)
		}
		for _, t := range got.Tasks {
			p.start(t)
		}
		switch {
		case errors.Is(err, engine.ErrWorkerNotFound):
			return false
		case err != nil:
			if p.over(err) {
				return true
			}
			p.pause()
		}
	}
}

// free waits until the service has room, and says how much. 0: it stops.
func (p *pump) free() int {
	for {
		p.mu.Lock()
		n := p.s.Capacity - len(p.open)
		p.mu.Unlock()
		if n > 0 {
			if p.taking.Err() != nil {
				return 0
			}
			return n
		}
		select {
		case <-p.room:
		case <-p.taking.Done():
			return 0
		}
	}
}

func (p *pump) start(t *worker.Task) {
	ctx, cancel := context.WithTimeout(p.ctx, time.Duration(p.s.TimeoutMS)*time.Millisecond)
	p.mu.Lock()
	p.open[t.Token] = cancel
	p.mu.Unlock()
	p.under.Go(func() {
		defer cancel()
		o := p.call.post(ctx, t)
		p.mu.Lock()
		_, wanted := p.open[t.Token]
		p.mu.Unlock()
		if wanted && p.ctx.Err() == nil {
			p.report(t.Token, o)
		}
		p.mu.Lock()
		delete(p.open, t.Token)
		p.mu.Unlock()
		select {
		case p.room <- struct{}{}:
		default:
		}
	})
}

// report brings an outcome until the engine has answered for it.
func (p *pump) report(token string, o worker.Outcome) {
	o.Token = token
	for p.ctx.Err() == nil {
		_, err := p.m.eng.Poll(p.ctx, p.id(), engine.PollRequest{Outcomes: []worker.Outcome{o}})
		if err == nil || errors.Is(err, engine.ErrWorkerNotFound) || errors.Is(err, engine.ErrClosed) || p.m.eng.Err() != nil {
			return
		}
		t := time.NewTimer(retryAfter)
		select {
		case <-t.C:
		case <-p.ctx.Done():
			t.Stop()
		}
	}
}

// forget ends the request of a task that is nobody's business any more.
func (p *pump) forget(token string) {
	p.mu.Lock()
	cancel := p.open[token]
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// beat renews the leases of the requests under way, over all sessions, until the last one has ended.
func (p *pump) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		var beats []engine.Beat
		for token := range p.open {
			beats = append(beats, engine.Beat{Token: token, Own: true})
		}
		p.mu.Unlock()
		gone, err := p.m.eng.Heartbeat(p.ctx, p.id(), beats)
		if err != nil {
			continue
		}
		for _, token := range gone {
			p.forget(token)
		}
	}
}
