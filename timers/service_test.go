package timers

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// jumpyClock is a machine whose wall clock can be set, and that can sleep: then the wall clock goes on and nothing else does.
type jumpyClock struct {
	start  time.Time
	ahead  atomic.Int64 // ns that the wall clock is ahead of the bubble's
	afters atomic.Int64 // how often somebody went to sleep for a time
}

func newClock() *jumpyClock { return &jumpyClock{start: time.Now()} }

func (c *jumpyClock) Now() time.Time             { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *jumpyClock) Mono() time.Duration        { return time.Since(c.start) }
func (c *jumpyClock) jump(d time.Duration)       { c.ahead.Add(int64(d)) }
func (c *jumpyClock) in(d time.Duration) int64   { return c.Now().Add(d).UnixMilli() }
func (c *jumpyClock) mono(d time.Duration) int64 { return (c.Mono() + d).Milliseconds() }

func (c *jumpyClock) After(d time.Duration) (<-chan time.Time, func()) {
	c.afters.Add(1)
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// in runs fn with a service in a bubble, in which time stands still but for sleep.
func inBubble(t *testing.T, fn func(c *jumpyClock, s *Service, woken *atomic.Int64)) {
	synctest.Test(t, func(t *testing.T) {
		c, woken := newClock(), &atomic.Int64{}
		s := Start(c, func() { woken.Add(1) })
		fn(c, s, woken)
		s.Stop()
	})
}

// pass lets time go by, and then everybody come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func want(t *testing.T, woken *atomic.Int64, n int64, when string) {
	t.Helper()
	if got := woken.Load(); got != n {
		t.Fatalf("%s: woken %d times, want %d", when, got, n)
	}
}

func TestItWakesOnceAndNotEarly(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(c.in(10*time.Second), 0)
		pass(10*time.Second - time.Millisecond)
		want(t, woken, 0, "a millisecond before")
		pass(time.Millisecond)
		want(t, woken, 1, "on time")
		pass(time.Hour)
		want(t, woken, 1, "long after")
	})
}

func TestWhatIsPastHasCome(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(c.in(-time.Hour), 0)
		synctest.Wait()
		want(t, woken, 1, "overdue by the wall clock")
		pass(time.Second)
		s.Set(0, 1)
		synctest.Wait()
		want(t, woken, 2, "overdue by the monotonic clock")
	})
}

func TestOnlyTheLatestSetCounts(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(c.in(time.Minute), 0)
		pass(100 * time.Millisecond)
		s.Set(c.in(300*time.Millisecond), 0) // earlier than the next check
		pass(300 * time.Millisecond)
		want(t, woken, 1, "set earlier")
		s.Set(c.in(time.Second), 0)
		pass(100 * time.Millisecond)
		s.Set(c.in(time.Minute), 0)
		pass(59 * time.Second)
		want(t, woken, 1, "set later")
		s.Set(0, 0)
		pass(time.Hour)
		want(t, woken, 1, "set to never")
		s.Set(c.in(time.Hour), c.mono(2*time.Second))
		pass(2 * time.Second)
		want(t, woken, 2, "the monotonic clock came first")
	})
}

func TestLateByAtMostACheckWhenTheClockJumpsAhead(t *testing.T) {
	for _, due := range []time.Duration{2 * time.Second, time.Hour, 30 * 24 * time.Hour} {
		inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
			s.Set(c.in(due), 0)
			pass(500 * time.Millisecond)
			c.jump(due - time.Second) // half a second is left
			pass(499 * time.Millisecond)
			want(t, woken, 0, due.String()+" early by a millisecond")
			pass(Check)
			want(t, woken, 1, due.String()+" after the jump")
		})
	}
}

func TestNeverEarlyWhenTheClockIsSetBack(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(c.in(10*time.Second), 0)
		pass(5 * time.Second)
		c.jump(-time.Hour)
		pass(time.Hour + 5*time.Second - time.Millisecond)
		want(t, woken, 0, "a millisecond before")
		pass(Check)
		want(t, woken, 1, "after the hour was lived twice")
	})
}

func TestTheMonotonicClockDoesNotJump(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(0, c.mono(10*time.Second))
		c.jump(24 * time.Hour)
		pass(9 * time.Second)
		want(t, woken, 0, "the wall clock jumped")
		pass(time.Second)
		want(t, woken, 1, "on time")
	})
}

func TestIdleItDoesNotRunAtAll(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		pass(24 * time.Hour)
		if n := c.afters.Load(); n != 0 {
			t.Errorf("with nothing to wait for it slept %d times", n)
		}
		s.Set(0, c.mono(time.Hour))
		pass(time.Hour)
		want(t, woken, 1, "a lease")
		if n := c.afters.Load(); n != 1 {
			t.Errorf("for one moment of the monotonic clock it slept %d times", n)
		}
		s.Set(c.in(time.Hour), 0)
		pass(time.Hour)
		want(t, woken, 2, "a timer")
		if n := c.afters.Load(); n > 1+3600 {
			t.Errorf("for an hour it read the clock %d times", n)
		}
		before := c.afters.Load()
		due := c.in(30 * 24 * time.Hour)
		for range 10_000 { // a busy engine, whose next timer is far away
			s.Set(due, 0)
		}
		synctest.Wait()
		if n := c.afters.Load() - before; n > 2 {
			t.Errorf("setting the same moment again made it sleep anew %d times", n)
		}
	})
}

func TestStopEndsIt(t *testing.T) {
	inBubble(t, func(c *jumpyClock, s *Service, woken *atomic.Int64) {
		s.Set(c.in(time.Second), 0)
		// The bubble fails when the goroutine is left behind; Stop follows.
	})
}

// A turn sets the next moment from within, while wake may be under way: none may be lost.
func TestNoMomentIsLostBetweenWakeAndSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, poked, turns := newClock(), make(chan struct{}, 1), 0
		s := Start(c, func() {
			select {
			case poked <- struct{}{}:
			default:
			}
		})
		due := c.in(0)
		for range 1000 {
			s.Set(due, 0)
			<-poked // deadlock if it is lost
			if now := c.Now().UnixMilli(); now >= due {
				turns++
				due = now + int64(turns%3)
			}
		}
		s.Stop()
		if turns < 300 {
			t.Errorf("%d of 1000 moments came", turns)
		}
	})
}
