package timers

import (
	"sync"
	"time"
)

// Clock is where time comes from.
type Clock interface {
	// Now is the wall clock. It may jump.
	Now() time.Time
	// Mono is a clock that never goes back: the time since some fixed moment. It may stand still while the machine sleeps.
	Mono() time.Duration
	// After gives a channel that receives once d has passed, and a function that stops it.
	After(d time.Duration) (<-chan time.Time, func())
}

// Check is the longest sleep for a moment of the wall clock. The clock may be set and the machine may sleep, and no timer of
// ours would notice: so it is read again, and what is due is late by at most this much.
const Check = time.Second

// Service calls wake when a moment has come. It is told the next moment with Set, and has one at a time. While there is none
// it does not run at all; while there is one of the wall clock it wakes up once a Check, and calls nobody.
//
// Rules:
//
//  1. Never early: wake is called when the clock, as it was read, is at the moment or past it.
//  2. Once: after wake there is no moment until the next Set.
//  3. A moment that is past already when it is set has come.
//  4. Only the latest Set counts. Wake may still be called for the one before when both cross.
type Service struct {
	clock Clock
	wake  func()

	mu    sync.Mutex
	set   moment        // zero: none
	sleep time.Duration // Mono at which the goroutine looks at the latest; 0: not before it is told to
	told  chan struct{} // capacity 1: look now
	stop  chan struct{}
	done  chan struct{}
}

// moment is what comes first of the two. Zero: never.
type moment struct {
	wall int64 // Unix ms
	mono int64 // ms of Clock.Mono
}

// Start starts a service without a moment. wake is called from the service's own goroutine, and must not block for long.
func Start(clock Clock, wake func()) *Service {
	s := &Service{clock: clock, wake: wake, told: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// Stop ends the service and waits until wake is called no more. It must not be called from wake, and only once.
func (s *Service) Stop() {
	close(s.stop)
	<-s.done
}

// Set says when to wake next: when the wall clock shows wall, in Unix ms, or the monotonic clock mono, in ms, whichever comes
// first; 0 is never. It costs little when the goroutine sleeps no longer than that anyway: a later moment does not wake it.
func (s *Service) Set(wall, mono int64) {
	s.mu.Lock()
	s.set = moment{wall, mono}
	var early bool
	if d, ok := s.until(); ok {
		if at := s.clock.Mono() + d; s.sleep == 0 || at < s.sleep {
			early, s.sleep = true, at // the next Set need not tell it again
		}
	}
	s.mu.Unlock()
	if early {
		select {
		case s.told <- struct{}{}:
		default:
		}
	}
}

// until says how long the moment is away, at most a Check for one of the wall clock; not when there is none. s.mu is held.
func (s *Service) until() (d time.Duration, ok bool) {
	if s.set.wall != 0 {
		d, ok = min(time.UnixMilli(s.set.wall).Sub(s.clock.Now()), Check), true
	}
	if s.set.mono != 0 {
		if m := time.Duration(s.set.mono)*time.Millisecond - s.clock.Mono(); !ok || m < d {
			d, ok = m, true
		}
	}
	return d, ok
}

// look gives how long to sleep, and wakes when the moment has come.
func (s *Service) look() (d time.Duration, ok bool) {
	s.mu.Lock()
	d, ok = s.until()
	come := ok && d <= 0
	switch {
	case come:
		s.set, s.sleep, ok = moment{}, 0, false
	case ok:
		s.sleep = s.clock.Mono() + d
	default:
		s.sleep = 0
	}
	s.mu.Unlock()
	if come {
		s.wake()
	}
	return d, ok
}

func (s *Service) run() {
	defer close(s.done)
	for {
		var timer <-chan time.Time
		cancel := func() {}
		if d, ok := s.look(); ok {
			timer, cancel = s.clock.After(d)
		}
		select {
		case <-timer:
		case <-s.told:
		case <-s.stop:
			cancel()
			return
		}
		cancel()
	}
}
