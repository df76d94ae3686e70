package worker

import (
	"context"
	"sync"
	"time"
)

// Attempt is the context of a handler: it carries the task, and ends when it is told to. It is made to lie
// inside of what else its owner keeps of the attempt.
type Attempt struct {
	Task   *Task
	Parent context.Context // for values; nil: none. Its end is not the attempt's.

	mu   sync.Mutex
	done chan struct{}
	err  error
}

// Deadline is none: the engine measures timeout_ms, and says when it is over.
func (a *Attempt) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is closed when the attempt has been cancelled.
func (a *Attempt) Done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = make(chan struct{})
		if a.err != nil {
			close(a.done)
		}
	}
	return a.done
}

// Err is why it was cancelled.
func (a *Attempt) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Value gives the task, and the parent's values.
func (a *Attempt) Value(key any) any {
	if key == TaskKey {
		return a.Task
	}
	if a.Parent != nil {
		return a.Parent.Value(key)
	}
	return nil
}

// Cancel ends the context. The first reason stays.
func (a *Attempt) Cancel(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return
	}
	a.err = why
	if a.done != nil {
		close(a.done)
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

const maxIdle = 256

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
