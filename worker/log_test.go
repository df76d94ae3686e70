package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/worker"
)

// taker counts how often it was told.
type taker struct{ told chan bool }

func (k *taker) LogDue() { k.told <- true }

// A line has its time, level and message, then its attributes: whatever they are called.
func TestLinesOfAnAttemptsLog(t *testing.T) {
	var b worker.LogBuffer
	task := &worker.Task{}
	task.OnLog(&b)
	log := worker.Log(worker.WithTask(t.Context(), task))
	log.Info("begin")
	log.With("msg", "own", "n", 1).WithGroup("g").Warn("two\nlines", "level", "high", "time", 2, "bad", "\xff")
	log.Debug("end", slog.Group("o", "k", "v w"))
	p := b.Part()
	if p == nil || p.At != 0 {
		t.Fatalf("%+v", p)
	}
	text := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z `).ReplaceAllString(p.Text, "@ ")
	want := "@ INFO begin\n@ WARN two\nlines msg=own n=1 g.level=high g.time=2 g.bad=\"\\xff\"\n@ DEBUG end o.k=\"v w\"\n"
	if text != want {
		t.Errorf("%q, want\n%q", text, want)
	}
	if worker.Log(context.Background()) != slog.Default() {
		t.Error("outside of a handler it is another one than the default")
	}
}

// The last 64 KiB are kept, from the beginning of a line; what was taken over is not given again; and who takes it over is told
// once, a moment after something was written.
func TestWhatIsKeptOfAnAttemptsLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &taker{make(chan bool, 10)}
		b := worker.LogBuffer{Taker: k}
		task := &worker.Task{}
		task.OnLog(&b)
		log := worker.Log(worker.WithTask(t.Context(), task))
		for i := range 3000 {
			log.Info(fmt.Sprintf("line %04d", i))
		}
		p := b.Part()
		line := len("2026-11-26T00:00:00.000Z INFO line 0000\n")
		if len(p.Text) > worker.MaxLog || len(p.Text) <= worker.MaxLog-line || int(p.At)+len(p.Text) != 3000*line || !strings.HasPrefix(p.Text, "20") || !strings.HasSuffix(p.Text, "line 2999\n") {
			t.Errorf("at %d, %d bytes: %.80q", p.At, len(p.Text), p.Text)
		}
		time.Sleep(time.Minute)
		if len(k.told) != 1 {
			t.Errorf("told %d times", len(k.told))
		}
		log.Info("more")
		b.Taken(p)
		time.Sleep(time.Minute)
		if more := b.Part(); len(k.told) != 2 || more == nil || int(more.At) != 3000*line || !strings.HasSuffix(more.Text, " more\n") {
			t.Errorf("told %d times, %+v", len(k.told), more)
		}
		b.Taken(b.Part())
		b.Close()
		log.Info(strings.Repeat("é", worker.MaxLog)) // one line that is too long: it is cut between its letters
		time.Sleep(time.Minute)
		if p := b.Part(); len(k.told) != 2 || len(p.Text) > worker.MaxLog || len(p.Text) < worker.MaxLog-4 || strings.Contains(p.Text, "\uFFFD") || strings.Trim(p.Text, "é\n") != "" {
			t.Errorf("told %d times, %d bytes: %.20q", len(k.told), len(p.Text), p.Text)
		}
	})
}
