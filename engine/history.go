package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// answerBytes is about what an answer of events holds.
const answerBytes = 8 << 20

// History gives a run's events after the sequence after, in order, at most limit of them (0: 1,000) and fewer when they are
// large. None: there are no more.
func (e *Engine) History(ctx context.Context, run string, after uint64, limit int) ([]Event, error) {
	if limit <= 0 {
		limit = 1000
	}
	h, last, err := e.lastOf(ctx, run)
	if err != nil {
		return nil, refusal.OfRun(run, err)
	}
	var out []Event
	size := 0
	for ev, err := range e.archive.History(h, last, after) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, refusal.OfRun(run, e.hurt(h.Run, err))
		}
		out = append(out, ev)
		if size += sizeOf(&ev); len(out) >= limit || size > answerBytes {
			break
		}
	}
	return out, nil
}

// lastOf gives a run's head and the sequence of its last durable record.
func (e *Engine) lastOf(ctx context.Context, id string) (journal.Head, uint64, error) {
	for range 3 {
		h, herr := e.head(id)
		if herr != nil && !errors.Is(herr, ErrRunNotFound) { // one that is not found may be on its way to the disk
			return h, 0, herr
		}
		if s := replay.RunState(h.State); herr == nil && (s.Ended() || s == replay.Quarantined) { // nothing is added to either
			return h, h.LastSeq, nil
		}
		if n, waits := e.newer.of(h.Run); herr == nil && waits {
			return h, max(h.LastSeq, n.Last), nil
		}
		var last uint64
		err := callErr(ctx, e, func(done func(error)) shard.Input {
			return &shard.Query{ID: id, Reply: done, Read: func(_ *shard.Shard, run *shard.Run) { last = run.S.LastSeq }}
		})
		if err == nil && herr != nil {
			h, err = e.head(id)
		}
		if !errors.Is(err, shard.ErrAway) {
			return h, last, err
		}
	}
	return journal.Head{}, 0, fmt.Errorf("engine: run %q keeps changing; try again", id)
}

// Timeline gives spans of a run's steps (attempts, and waits) that began after the sequence after, in the order in which they
// began, at most limit of them (0: 1,000). more: others began later.
func (e *Engine) Timeline(ctx context.Context, run string, after uint64, limit int) (spans []Span, more bool, err error) {
	return e.TimelineAt(ctx, run, 0, after, limit)
}

// TimelineAt is Timeline as it was after the run's last event at or before the sequence at; 0: as it is now.
func (e *Engine) TimelineAt(ctx context.Context, run string, at, after uint64, limit int) (spans []Span, more bool, err error) {
	if limit <= 0 {
		limit = 1000
	}
	h, last, err := e.lastOf(ctx, run)
	if err != nil {
		return nil, false, refusal.OfRun(run, err)
	}
	if at != 0 && at < h.Run {
		return nil, false, refusal.OfRun(run, notBegun(at, h.Run))
	}
	spans, more, err = e.archive.Timeline(ctx, h, last, at, after, limit)
	if err != nil {
		return nil, false, refusal.OfRun(run, e.hurt(h.Run, err))
	}
	return spans, more, nil
}

// WatchFilter says what Watch gives.
type WatchFilter struct {
	Run   string // id; "": every run, and the engine's own events
	After uint64 // events after this sequence
}

// Watch calls fn for each event as it becomes durable, in journal order, starting with those that are. It returns when ctx
// ends, fn returns an error, or the engine stops; with a run, also when the run has ended or was deleted. A run that is not there
// yet may come. A slow fn delays nobody but itself: events are read from the journal.
func (e *Engine) Watch(ctx context.Context, f WatchFilter, fn func(Event) error) error {
	if f.Run != "" {
		return e.watchRun(ctx, f, fn)
	}
	for after := f.After; ; {
		news := e.news.next()
		upto := e.durable.Load()
		for ev, err := range e.archive.Events(ctx, archive.Range{After: after, Upto: upto}) {
			if err == nil {
				err = fn(ev)
			}
			if err != nil {
				return err
			}
		}
		after = max(after, upto)
		if err := e.pause(ctx, news); err != nil {
			return err
		}
	}
}

// pause waits for news.
func (e *Engine) pause(ctx context.Context, news <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.done:
		if err := e.err(); err != nil {
			return err
		}
		return ErrClosed
	}
}

// watchRun follows one run by the run's own links, and wakes for that run alone.
func (e *Engine) watchRun(ctx context.Context, f WatchFilter, fn func(Event) error) error {
	run, err := e.appears(ctx, f.Run)
	if err != nil {
		return err
	}
	follow := e.followers.join(run)
	defer e.followers.leave(follow)
	h, last, err := e.lastOf(ctx, f.Run) // after join: what becomes durable from here on wakes
	if err != nil {
		return err
	}
	after, n := f.After, uint64(0) // n is the place of its last event in the run, once there was one
	events := e.archive.History(h, last, after)
	for {
		for ev, err := range events {
			if err != nil {
				return e.hurt(run, err)
			}
			if err := fn(ev); err != nil {
				return err
			}
			after, n = ev.Seq, ev.N
		}
		if e.endedAfter(f.Run, after) {
			return nil
		}
		if err := e.pause(ctx, follow.news); err != nil {
			return err
		}
		last = max(last, follow.last.Load())
		if events = e.archive.History(h, last, after); n != 0 {
			events = e.archive.HistoryFrom(h, last, n+1, after)
		}
	}
}

// appears waits until there is a run of that id, and gives its number. One that was deleted does not come back.
func (e *Engine) appears(ctx context.Context, id string) (uint64, error) {
	for {
		news := e.news.next()
		h, err := e.head(id)
		if !errors.Is(err, ErrRunNotFound) {
			return h.Run, err
		}
		if err := e.pause(ctx, news); err != nil {
			return 0, err
		}
	}
}

// endedAfter says whether the run has ended, or was deleted, and every event of it has been given.
func (e *Engine) endedAfter(id string, after uint64) bool {
	h, err := e.head(id)
	if errors.Is(err, ErrRunNotFound) || errors.Is(err, ErrRunExpired) {
		return true
	}
	return err == nil && replay.RunState(h.State).Ended() && h.LastSeq <= after
}

// Feed gives up to limit events of all runs after a sequence, and the sequence to go on from.
func (e *Engine) Feed(ctx context.Context, after uint64, limit int) ([]Event, uint64, error) {
	if limit <= 0 {
		limit = 1000
	}
	var out []Event
	upto, size := e.durable.Load(), 0
	for ev, err := range e.archive.Events(ctx, archive.Range{After: after, Upto: upto}) {
		if err != nil {
			return nil, after, err
		}
		out = append(out, ev)
		if size += sizeOf(&ev); len(out) >= limit || size > answerBytes {
			return out, ev.Seq, nil
		}
	}
	return out, max(after, upto), nil
}

// sizeOf is about what an event's payloads take.
func sizeOf(ev *Event) int {
	n := 200
	for _, v := range ev.Data {
		if raw, ok := v.(json.RawMessage); ok {
			n += len(raw)
		}
	}
	return n
}
