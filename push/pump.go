package push

import (
	"context"
	"errors"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/pool"
	"github.com/agnt5/agnt5d/worker"
)

// pump POSTs the tasks of one service, and brings the outcomes back: a pool whose handlers are requests.
type pump struct {
	s    Service
	m    *Manager
	call *caller

	taking, work context.Context // see pool.Pool.Run
	halt, cancel context.CancelFunc
	gone         chan struct{} // closed: the pump has ended
}

func (m *Manager) pump(s Service) *pump {
	p := &pump{s: s, m: m, call: newCaller(s, m.o), gone: make(chan struct{})}
	p.work, p.cancel = context.WithCancel(context.Background())
	p.taking, p.halt = context.WithCancel(p.work)
	go p.run()
	return p
}

// still is the pump of a service that cannot work.
func (m *Manager) still(s Service) *pump {
	p := &pump{s: s, m: m, gone: make(chan struct{}), halt: func() {}, cancel: func() {}}
	close(p.gone)
	return p
}

func (p *pump) run() {
	defer close(p.gone)
	defer p.call.close()
	log := p.m.o.Logger.With("service", p.s.Name)
	err := pool.New(p, pool.Options{Capacity: p.s.Capacity, Run: p.post, Logger: log}).Run(p.taking, p.work)
	if err != nil && p.Kind(err) != pool.Over {
		log.Error("the push service gets no more tasks; add it again", "error", err)
	}
}

// post runs one attempt.
func (p *pump) post(ctx context.Context, t *worker.Task, o *worker.Outcome) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.s.TimeoutMS)*time.Millisecond)
	defer cancel()
	*o = p.call.post(ctx, t)
}

// stop gives everything back at once.
func (p *pump) stop() {
	p.cancel()
	<-p.gone
}

// drain waits for the requests under way, until ctx ends.
func (p *pump) drain(ctx context.Context) {
	p.halt()
	select {
	case <-p.gone:
	case <-ctx.Done():
	}
	p.stop()
}

func (p *pump) id() string { return SessionPrefix + p.s.Name }

// Join opens the service's session, which has its name.
func (p *pump) Join(ctx context.Context, _ string, tokens []string) (pool.Session, error) {
	got, err := p.m.eng.Join(ctx, engine.JoinRequest{WorkerID: p.id(), Service: p.s.Name, Handlers: p.s.Handlers, Capacity: p.s.Capacity, Tokens: tokens})
	return pool.Session{ID: p.id(), Heartbeat: got.Heartbeat, MaxWait: got.MaxWait, Lost: got.Lost}, err
}

// Exchange is a poll.
func (p *pump) Exchange(ctx context.Context, session string, r pool.Request) (pool.Answer, error) {
	got, err := p.m.eng.Poll(ctx, session, engine.PollRequest{Seq: r.Seq, Max: r.Max, Wait: r.Wait, Outcomes: r.Outcomes})
	return pool.Answer{Tasks: got.Tasks, Results: got.Results, Cancelled: got.Cancelled}, err
}

// Heartbeat renews the leases of the requests under way. While one is, its handler is alive.
func (p *pump) Heartbeat(ctx context.Context, session string, beats []pool.Beat) ([]string, error) {
	own := make([]engine.Beat, len(beats))
	for i, b := range beats {
		own[i] = engine.Beat{Token: b.Token, Own: true}
	}
	return p.m.eng.Heartbeat(ctx, session, own)
}

// Leave ends the session.
func (p *pump) Leave(ctx context.Context, session string) error { return p.m.eng.Leave(ctx, session) }

// Kind says what an error of the engine means.
func (p *pump) Kind(err error) pool.Kind {
	var bad *engine.RequestError
	switch {
	case errors.Is(err, engine.ErrClosed) || p.m.eng.Err() != nil:
		return pool.Over
	case errors.Is(err, engine.ErrWorkerNotFound):
		return pool.NoSession
	case errors.As(err, &bad):
		return pool.Refused
	}
	return pool.Again
}
