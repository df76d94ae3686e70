package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/agnt5/agnt5d/journal"
)

// followers wakes whoever follows one run when that run has something new, and nobody else.
type followers struct {
	any  atomic.Bool // there is one
	mu   sync.Mutex
	runs map[uint64][]*follower
}

// follower follows one run.
type follower struct {
	run  uint64
	last atomic.Uint64 // the run's last record that is durable, as far as it was told
	news chan struct{} // capacity 1
}

func (f *followers) join(run uint64) *follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.runs == nil {
		f.runs = map[uint64][]*follower{}
	}
	one := &follower{run: run, news: make(chan struct{}, 1)}
	f.runs[run] = append(f.runs[run], one)
	f.any.Store(true)
	return one
}

func (f *followers) leave(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := slices.DeleteFunc(f.runs[one.run], func(o *follower) bool { return o == one })
	if f.runs[one.run] = left; len(left) == 0 {
		delete(f.runs, one.run)
	}
	f.any.Store(len(f.runs) > 0)
}

// tell says that a batch is durable.
func (f *followers) tell(b *journal.Batch) {
	if !f.any.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range b.Records {
		for _, one := range f.runs[b.Records[i].Run] {
			one.last.Store(b.Records[i].Seq)
			one.wake()
		}
	}
	for i := range b.Purges { // who follows a run that is deleted is done
		for _, one := range f.runs[b.Purges[i].Run] {
			one.wake()
		}
	}
}

func (one *follower) wake() {
	select {
	case one.news <- struct{}{}:
	default:
	}
}
