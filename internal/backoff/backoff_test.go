package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/internal/backoff"
)

func TestWaitsDoubleUpToTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backoff.Backoff{First: 50 * time.Millisecond, Most: 300 * time.Millisecond}
		for i, want := range []time.Duration{50, 100, 200, 300, 300, 50} {
			want *= time.Millisecond
			if i == 5 {
				b.Reset()
			}
			if b.Next() != want {
				t.Errorf("wait %d is %s, want %s", i, b.Next(), want)
			}
			began := time.Now()
			if !b.Wait(t.Context()) {
				t.Error("it was broken off")
			}
			if took := time.Since(began); took < want/2 || took > want {
				t.Errorf("wait %d took %s, want %s to %s", i, took, want/2, want)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if b.Wait(ended) {
			t.Error("it waited although nobody does")
		}
	})
}
