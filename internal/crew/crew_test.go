package crew_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/internal/crew"
	"github.com/agnt5/agnt5d/worker"
)

type key struct{}

// A handler derives contexts for each call that it makes: they must not cost a goroutine each.
func TestDerivedContextsCostNoGoroutine(t *testing.T) {
	parent, over := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
	over() // not the attempt's end
	a := &crew.Attempt{Task: &worker.Task{Step: "s"}, Parent: parent}
	before := runtime.NumGoroutine()
	var all []context.Context
	for range 500 {
		c, cancel := context.WithCancel(a)
		defer cancel()
		d, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		all = append(all, c, d)
	}
	if n := runtime.NumGoroutine(); n > before+10 { // the runtime may start some of its own
		t.Errorf("1000 derived contexts made %d goroutines", n-before)
	}
	ran := make(chan error, 1)
	context.AfterFunc(a, func() { ran <- context.Cause(a) })
	if a.Err() != nil || context.Cause(a) != nil || all[1].Err() != nil {
		t.Errorf("it has ended: %v", a.Err())
	}
	if a.Value(key{}) != "v" || all[1].Value(key{}) != "v" || worker.FromContext(all[1]) != a.Task {
		t.Error("values are lost")
	}
	why := errors.New("the run was cancelled")
	a.Cancel(why)
	a.Cancel(errors.New("later"))
	for i, c := range append(all, a) {
		<-c.Done()
		if c.Err() != context.Canceled || context.Cause(c) != why {
			t.Fatalf("context %d: %v, because %v", i, c.Err(), context.Cause(c))
		}
	}
	if got := <-ran; got != why {
		t.Errorf("AfterFunc: %v", got)
	}
}

// One that was cancelled before anybody looked says so all the same.
func TestACancelledAttemptSaysWhy(t *testing.T) {
	for _, why := range []error{errors.New("timed out"), nil} {
		a := &crew.Attempt{}
		a.Cancel(why)
		want := why
		if why == nil {
			want = context.Canceled
		}
		<-a.Done()
		if a.Err() != context.Canceled || context.Cause(a) != want {
			t.Errorf("%v, because %v; want %v", a.Err(), context.Cause(a), want)
		}
	}
}
