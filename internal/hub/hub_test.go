package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// stub is a shard as the hub sees it: queues of offers, and outcomes whose results wait until the test lets them out.
type stub struct {
	t    *testing.T
	no   journal.Shard
	host shard.Host
	hub  *leases.Hub
	runs uint64
	sent []shard.Input
	has  map[*leases.Slot]*leases.Session
}

func (s *stub) Send(in shard.Input) {
	switch in := in.(type) {
	case *shard.Adopt:
		in.Reply(in.Tokens, nil)
	case *shard.Gone:
		for slot, of := range s.has {
			if of == in.Session {
				s.over(slot)
			}
		}
		in.Reply(nil)
	case *shard.Beat:
		in.Reply(nil, nil)
	default:
		s.sent = append(s.sent, in)
	}
}

func (s *stub) Lend(f *leases.Handler, to *leases.Session) {
	slot := s.hub.Take(f, to, 1, 1)
	if slot == nil {
		return
	}
	s.has[slot] = to
	s.host.Given(to, slot, &shard.Spec{Slot: slot, Attempt: 1}, f.Queued() > 0)
}

// over ends a lease.
func (s *stub) over(slot *leases.Slot) {
	delete(s.has, slot)
	s.hub.Release(slot)
}

// offer makes n offers of a handler.
func (s *stub) offer(service, name string, n int) {
	for range n {
		s.runs++
		s.hub.Offer(&leases.Slot{Run: s.no.First() + s.runs, Attempt: 1, Handler: s.hub.Handler(service, name)})
	}
}

// bench is a hub, its shards, and what was answered.
type bench struct {
	t      *testing.T
	hub    *Hub
	shards []*stub
	now    shard.Now
	said   []string // answers to polls, by the letter that the test gave each
	tasks  map[string][]*shard.Spec
}

func newBench(t *testing.T, shards int, cfg Config) *bench {
	b := &bench{t: t, hub: New(cfg), now: shard.Now{Wall: 1, Mono: 1}, tasks: map[string][]*shard.Spec{}}
	for no := range journal.Shard(shards) {
		s := &stub{t: t, no: no, has: map[*leases.Slot]*leases.Session{}}
		s.host = b.hub.Attach(no, s)
		s.hub = leases.NewHub(30_000, s.host)
		b.shards = append(b.shards, s)
	}
	return b
}

func (b *bench) turn(in ...Input) {
	b.t.Helper()
	b.hub.Turn(b.now, in)
	b.check()
}

func (b *bench) check() {
	b.t.Helper()
	if err := b.hub.Check(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) join(id string, capacity int, handlers ...string) {
	b.t.Helper()
	b.turn(&Join{ID: id, Service: "svc", Handlers: handlers, Capacity: capacity, Reply: func(_ []leases.Token, err error) {
		if err != nil {
			b.t.Fatal(err)
		}
	}})
}

// poll makes a poll whose answer is told by its name.
func (b *bench) poll(name, id string, seq uint64, max int, wait int64, outcomes int) *Poll {
	in := &Poll{ID: id, Seq: seq, Max: max, WaitMS: wait}
	for range outcomes {
		in.Outcomes = append(in.Outcomes, &shard.Outcome{Token: leases.Token{Run: 7, Worker: id}})
	}
	in.Reply = func(a PollAnswer, err error) {
		text := fmt.Sprintf("%s: %d tasks", name, len(a.Tasks))
		if len(a.Results) > 0 {
			text += fmt.Sprintf(", %d results", len(a.Results))
		}
		if len(a.Cancelled) > 0 {
			text += fmt.Sprintf(", %d cancelled", len(a.Cancelled))
		}
		if err != nil {
			text = name + ": " + err.Error()
		}
		b.said = append(b.said, text)
		b.tasks[name] = a.Tasks
	}
	return in
}

// settle lets out the results of the outcomes that were sent so far.
func (b *bench) settle(err error) {
	b.t.Helper()
	for _, s := range b.shards {
		sent := s.sent
		s.sent = nil
		for _, in := range sent {
			in.(*shard.Outcome).Reply(shard.Recorded, false, err)
		}
	}
	b.hub.Dispatch(b.now)
	b.check()
}

// advance moves the clock to the hub's next wake at the latest.
func (b *bench) advance(ms int64) {
	b.t.Helper()
	for end := b.now.Mono + ms; ; {
		w := b.hub.NextWake().Mono
		if w == 0 || w > end {
			b.now.Mono = end
			return
		}
		b.now.Mono = max(w, b.now.Mono)
		b.turn()
	}
}

func (b *bench) want(state state, said ...string) {
	b.t.Helper()
	if !slices.Equal(b.said, said) {
		b.t.Errorf("said %q, want %q", b.said, said)
	}
	b.said = nil
	if s := b.hub.Session("A"); s != nil && s.talk.state != state {
		b.t.Errorf("the exchange is in state %d, want %d", s.talk.state, state)
	}
}

// Each transition of the exchange between a worker and the hub, as a story.
func TestAPollGoesFromStateToState(t *testing.T) {
	full := errors.New("the disk is full")
	for name, story := range map[string]func(b *bench){
		"idle, poll without outcomes: waiting": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.want(waiting)
		},
		"idle, poll with outcomes: settling, and then its results": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 2))
			b.want(settling)
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.want(answered, "a: 1 tasks, 2 results")
		},
		"settling, an outcome that is not recorded: idle, and the same seq is a new poll": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 1))
			b.settle(full)
			b.want(idle, "a: the disk is full")
			b.turn(b.poll("b", "A", 1, 5, 1000, 1))
			b.want(settling)
			b.settle(nil)
			b.want(answered, "b: 0 tasks, 1 results")
		},
		"settling tells no task and no cancelled attempt before its results": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 1))
			b.shards[0].offer("svc", "h", 1)
			b.shards[0].host.Cancelled(nil, nil, leases.Token{Run: 9, Worker: "A"})
			b.turn()
			b.want(settling)
			b.settle(nil)
			b.want(answered, "a: 1 tasks, 1 results, 1 cancelled")
		},
		"settling, the time is over: it waits for its results": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 10, 1))
			b.advance(60_000)
			b.want(settling)
			b.settle(nil)
			b.want(answered, "a: 0 tasks, 1 results")
		},
		"settling, a higher seq: it takes its place, and the results go to the one that brought them": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 1))
			b.turn(b.poll("b", "A", 2, 5, 1000, 0))
			b.want(waiting)
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.want(answered, "a: 0 tasks, 1 results", "b: 1 tasks")
		},
		"settling, the same seq: the copy takes its place": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 1))
			b.turn(b.poll("b", "A", 1, 5, 1000, 1))
			b.want(settling)
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.want(answered, "a: 0 tasks, 1 results", "b: 1 tasks, 1 results")
		},
		"settling, its connection is gone: idle, and what it brought is recorded nevertheless": func(b *bench) {
			in := b.poll("a", "A", 1, 5, 1000, 1)
			b.turn(in)
			b.turn(&Unpoll{in})
			b.want(idle)
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.want(idle, "a: 0 tasks, 1 results") // which nobody hears
			b.turn(b.poll("b", "A", 1, 5, 1000, 0))
			b.want(answered, "b: 1 tasks")
		},
		"waiting, an offer: answered": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.shards[0].offer("svc", "h", 2)
			b.turn()
			b.want(answered, "a: 2 tasks")
		},
		"waiting, a cancelled attempt: answered": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.shards[0].host.Cancelled(nil, nil, leases.Token{Run: 9, Worker: "A"})
			b.turn()
			b.want(answered, "a: 0 tasks, 1 cancelled")
		},
		"waiting, its time is over: answered": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.advance(999)
			b.want(waiting)
			b.advance(1)
			b.want(answered, "a: 0 tasks")
		},
		"waiting, a higher seq: the old one goes without, the new one waits": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.turn(b.poll("b", "A", 2, 5, 1000, 0))
			b.want(waiting, "a: 0 tasks")
		},
		"waiting, the same seq on another connection: the copy takes its place": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.turn(b.poll("b", "A", 1, 5, 1000, 0))
			b.want(waiting, "a: 0 tasks")
			b.shards[0].offer("svc", "h", 1)
			b.turn()
			b.want(answered, "b: 1 tasks")
		},
		"waiting, a lower seq: a late copy brings its outcomes and takes nothing": func(b *bench) {
			b.turn(b.poll("a", "A", 2, 5, 1000, 0))
			b.turn(b.poll("b", "A", 1, 5, 1000, 1))
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.want(answered, "b: 0 tasks, 1 results", "a: 1 tasks")
		},
		"waiting, its connection is gone: idle": func(b *bench) {
			in := b.poll("a", "A", 1, 5, 1000, 0)
			b.turn(in)
			b.turn(&Unpoll{in})
			b.shards[0].offer("svc", "h", 1)
			b.turn()
			b.want(idle)
			b.turn(b.poll("b", "A", 1, 5, 1000, 0))
			b.want(answered, "b: 1 tasks")
		},
		"waiting, the session ends: the worker hears that there is none": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.turn(&Leave{ID: "A", Reply: func(error) {}})
			b.want(idle, "a: "+refusal.ErrWorkerNotFound.Error())
		},
		"answered, the same seq: the response was lost, the tasks are the same": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.shards[0].offer("svc", "h", 2)
			b.turn()
			b.turn(b.poll("b", "A", 1, 5, 1000, 0))
			b.want(answered, "a: 2 tasks", "b: 2 tasks")
			if !slices.Equal(b.tasks["a"], b.tasks["b"]) {
				b.t.Error("they are others")
			}
			b.shards[0].over(b.tasks["a"][0].Slot) // its lease has run out
			b.turn(b.poll("c", "A", 1, 5, 1000, 0))
			b.want(answered, "c: 1 tasks")
		},
		"answered, the same seq with outcomes: they are looked at anew": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 1))
			b.shards[0].offer("svc", "h", 1)
			b.settle(nil)
			b.turn(b.poll("b", "A", 1, 5, 1000, 1))
			b.settle(nil)
			b.want(answered, "a: 1 tasks, 1 results", "b: 1 tasks, 1 results")
		},
		"answered, a higher seq: waiting": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 0, 0))
			b.turn(b.poll("b", "A", 2, 5, 1000, 0))
			b.want(waiting, "a: 0 tasks")
		},
		"answered, a lower seq: nothing": func(b *bench) {
			b.turn(b.poll("a", "A", 2, 5, 0, 0))
			b.shards[0].offer("svc", "h", 1)
			b.turn(b.poll("b", "A", 1, 5, 1000, 0))
			b.want(answered, "a: 0 tasks", "b: 0 tasks")
		},
		"any, outcomes alone: their results, and the poll waits on": func(b *bench) {
			b.turn(b.poll("a", "A", 1, 5, 1000, 0))
			b.turn(b.poll("b", "A", 0, 0, 0, 1))
			b.settle(nil)
			b.want(waiting, "b: 0 tasks, 1 results")
		},
		"a task is never over what was asked for": func(b *bench) {
			b.shards[0].offer("svc", "h", 9)
			b.turn(b.poll("a", "A", 1, 3, 1000, 0))
			b.turn(b.poll("b", "A", 2, 9, 1000, 0))
			b.want(answered, "a: 3 tasks", "b: 5 tasks") // it has room for 8
		},
		"every shard's disk is full: no tasks, but results": func(b *bench) {
			b.shards[0].host.Full(true)
			b.turn(b.poll("a", "A", 1, 5, 1000, 0), b.poll("b", "A", 2, 5, 1000, 1))
			b.settle(nil)
			b.want(idle, "a: "+refusal.ErrDiskFull.Error(), "b: 0 tasks, 1 results")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, Config{})
			b.join("A", 8, "h")
			story(b)
		})
	}
}

// A poll takes from every shard in turn, so that a shard with much to do keeps nobody else's work from being done.
func TestShardsTakeTurns(t *testing.T) {
	b := newBench(t, 3, Config{})
	b.join("A", 100, "h")
	b.shards[0].offer("svc", "h", 1000)
	b.shards[1].offer("svc", "h", 1000)
	b.shards[2].offer("svc", "h", 2)
	from := map[journal.Shard]int{}
	for seq := uint64(1); seq <= 4; seq++ {
		b.turn(b.poll("a", "A", seq, 3, 1000, 0))
		for _, spec := range b.tasks["a"] {
			from[journal.ShardOf(spec.Slot.Run)]++
		}
	}
	if from[0] != 5 || from[1] != 5 || from[2] != 2 {
		t.Errorf("tasks by shard: %v", from)
	}
}

// The bound of a service holds over all shards and all sessions, and room that comes at one shard lets another's work go on.
func TestABoundHoldsOverAllShards(t *testing.T) {
	b := newBench(t, 2, Config{Services: map[string]int{"svc": 3}})
	b.join("A", 100, "h")
	b.join("B", 100, "h")
	b.shards[0].offer("svc", "h", 2)
	b.shards[1].offer("svc", "h", 9)
	b.turn(b.poll("a", "A", 1, 9, 1000, 0), b.poll("b", "B", 1, 9, 1000, 0))
	if got := len(b.tasks["a"]) + len(b.tasks["b"]); got != 3 {
		t.Fatalf("%d tasks, the bound is 3", got)
	}
	b.turn(b.poll("a", "A", 2, 9, 1000, 0))
	for slot := range b.shards[0].has {
		b.shards[0].over(slot)
	}
	b.said = nil
	b.turn()
	if strings.Join(b.said, " ") == "" {
		t.Error("there is room again, and nobody is given a task")
	}
}

// Nobody gets a task of a service that is paused, whatever shard has it; when it is resumed, a poll that waits does.
func TestAPausedServiceHandsNothingOut(t *testing.T) {
	b := newBench(t, 2, Config{})
	b.join("A", 100, "h")
	b.hub.PauseService("svc", &Pause{At: 1, By: "ada", Why: "a feast"})
	b.shards[0].offer("svc", "h", 2)
	b.shards[1].offer("svc", "h", 2)
	b.turn(b.poll("a", "A", 1, 9, 1000, 0))
	if p, is := b.hub.Paused("svc"); len(b.tasks["a"]) != 0 || !is || p.By != "ada" {
		t.Fatalf("%d tasks of a paused service; paused: %v, by %q", len(b.tasks["a"]), is, p.By)
	}
	b.hub.PauseService("svc", nil)
	b.turn()
	if len(b.tasks["a"]) == 0 {
		t.Error("the service was resumed, and the poll that waits is given nothing")
	}
}

// What a poll brings goes to the shard that has the run, and a token of none gets its answer from the hub.
func TestOutcomesGoToTheShardOfTheirRun(t *testing.T) {
	b := newBench(t, 2, Config{})
	b.join("A", 9, "h")
	in := b.poll("a", "A", 0, 0, 0, 3)
	in.Outcomes[1].Token.Run = journal.Shard(1).First() + 6
	in.Outcomes[2].Token.Run = journal.Shard(9).First() + 6
	b.turn(in)
	if len(b.shards[0].sent) != 1 || len(b.shards[1].sent) != 1 {
		t.Errorf("sent %d and %d", len(b.shards[0].sent), len(b.shards[1].sent))
	}
	b.settle(nil)
	if got := in.results[2].Result; got != shard.BadToken {
		t.Errorf("the outcome of a shard that is not here is answered with %q", got)
	}
}

// A worker that answers a long poll late is not silent: its connection was open until then.
func TestAnAnsweredPollIsASignOfLife(t *testing.T) {
	b := newBench(t, 1, Config{})
	b.join("A", 9, "h")
	b.turn(b.poll("a", "A", 1, 9, 30_000, 0))
	b.advance(29_900)
	b.shards[0].offer("svc", "h", 1)
	b.turn()
	b.advance(20_000)
	if b.hub.Session("A") == nil {
		t.Error("it was closed 20 s after its poll was answered")
	}
	b.advance(11_000)
	if b.hub.Session("A") != nil {
		t.Error("nobody has heard of it for 30 s, and it is still there")
	}
}

// Names that only a session ever spoke of are forgotten when it leaves; those that a shard or this process named stay.
func TestAHubForgetsStrangers(t *testing.T) {
	b := newBench(t, 1, Config{})
	b.hub.Serve("svc", "here")
	b.shards[0].offer("svc", "known", 1)
	for i := range 3 {
		b.join("A", 1, "known", "here", fmt.Sprint("h", i), fmt.Sprint("g", i))
		if got := b.hub.Served("svc"); len(got) != 4 {
			t.Errorf("served: %v", got)
		}
	}
	b.turn(&Leave{ID: "A", Reply: func(error) {}})
	if len(b.hub.handlers) != 2 {
		t.Errorf("%d handlers are left", len(b.hub.handlers))
	}
}
