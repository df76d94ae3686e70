// Package crew runs attempts: Attempt is the context that a handler gets, Crew the goroutines in which handlers run.
package crew

import (
	"context"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/worker"
)

// Attempt is the context of a handler: it carries the task, and ends when it is told to. Embed it in what else you keep of an
// attempt. To derive a context from it costs no goroutine.
type Attempt struct {
	Task   *worker.Task
	Parent context.Context // for values; nil: none. Its end is not the attempt's.

	mu    sync.Mutex
	inner *inner // does the work, from when somebody asks for it: most handlers never do
	why   error  // it was cancelled
}

// inner is a context that package context knows, so that others can hang on it.
type inner struct {
	context.Context
	cancel context.CancelCauseFunc
}

// Deadline is none: the engine measures timeout_ms, and says when it is over.
func (a *Attempt) Deadline() (time.Time, bool) { return time.Time{}, false }

func (a *Attempt) known() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inner == nil {
		values := a.Parent
		if values == nil {
			values = context.Background()
		}
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(values))
		if a.inner = (&inner{ctx, cancel}); a.why != nil {
			cancel(a.why)
		}
	}
	return a.inner.Context
}

// Done is closed when the attempt has been cancelled.
func (a *Attempt) Done() <-chan struct{} { return a.known().Done() }

// Err is context.Canceled once the attempt has been cancelled; context.Cause says why.
func (a *Attempt) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why != nil {
		return context.Canceled
	}
	return nil
}

// Value gives the task, and the parent's values.
func (a *Attempt) Value(key any) any {
	if key == worker.TaskKey {
		return a.Task
	}
	return a.known().Value(key)
}

// Cancel ends the context. The first reason stays, and is its cause; nil: context.Canceled.
func (a *Attempt) Cancel(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why != nil {
		return
	}
	if a.why = why; why == nil {
		a.why = context.Canceled
	}
	if a.inner != nil {
		a.inner.cancel(a.why)
	}
}

// Crew is goroutines that run attempts. One that has finished waits for the next: a fresh one would have to grow its stack
// anew each time. The zero value is ready.
type Crew[T any] struct {
	mu   sync.Mutex
	idle []chan work[T]
	over bool
}

type work[T any] struct {
	item T
	run  func(T)
}

// maxIdle bounds what goroutines that wait cost: a stack of some KiB each.
const maxIdle = 1024

// Hand runs item in a goroutine that waits, or in a new one.
func (c *Crew[T]) Hand(item T, run func(T)) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		ch := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		ch <- work[T]{item, run}
		return
	}
	c.mu.Unlock()
	go c.work(work[T]{item, run})
}

func (c *Crew[T]) work(w work[T]) {
	next := make(chan work[T], 1)
	for w.run != nil {
		w.run(w.item)
		c.mu.Lock()
		if c.over || len(c.idle) >= maxIdle {
			c.mu.Unlock()
			return
		}
		c.idle = append(c.idle, next)
		c.mu.Unlock()
		w = <-next
	}
}

// Dismiss ends the goroutines that wait; the others end when their attempts do.
func (c *Crew[T]) Dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for _, ch := range c.idle {
		ch <- work[T]{}
	}
	c.idle = nil
}
