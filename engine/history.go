package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Show makes an Event of a journaled one. g is the run's graph, nil for the engine's own events.
func Show(seq, n uint64, at int64, run string, g *flow.Graph, e *event.Event) Event {
	out := Event{Seq: seq, N: n, At: replay.FormatTime(at), WorkflowID: run, Kind: e.Kind.String(), Attempt: e.Attempt, Data: map[string]any{}}
	name := func(i int32) string {
		if g != nil && int(i) < len(g.Def.Steps) {
			return g.Def.Steps[i].Name
		}
		return fmt.Sprintf("#%d", i)
	}
	if e.Kind.HasStep() {
		out.Step = name(e.Step)
	}
	put := func(key, v string) {
		if v != "" {
			out.Data[key] = v
		}
	}
	when := func(key string, ms int64) {
		if ms != 0 {
			out.Data[key] = replay.FormatTime(ms)
		}
	}
	switch e.Kind {
	case event.RunStarted:
		put("workflow_name", e.Name)
		out.Data["version"] = e.Version
		put("digest", e.Digest)
		put("traceparent", e.Trace)
		out.Data["input"] = json.RawMessage(orNull(e.Payload))
	case event.AttemptStarted:
		put("worker", e.Name)
		if e.Forced {
			put("worker", "in process")
		}
		when("started_at", e.Time)
	case event.AttemptFailed, event.AttemptLost, event.StepFailed:
		put("code", e.Code)
		put("message", e.Message)
		put("type", e.Type)
		put("stack", e.Stack)
		if e.Kind == event.AttemptFailed {
			out.Data["retryable"] = !e.Forced
		}
		when("not_before", e.Due)
	case event.StepCompleted:
		if e.Ref != 0 {
			out.Data["signal_seq"] = e.Ref
		} else {
			out.Data["output"] = json.RawMessage(orNull(e.Payload))
		}
		if len(e.Objects) > 0 {
			objects := map[string]any{}
			for _, o := range e.Objects {
				objects[o.Key] = map[string]any{"state": json.RawMessage(orNull(o.State)), "version": o.Version, "fence": o.Fence}
			}
			out.Data["objects"] = objects
		}
	case event.StepDeferred:
		put("timer", name(e.Timer))
		when("due", e.Due)
	case event.RetrySet, event.SignalAwaited, event.TimerSet:
		when("due", e.Due)
	case event.SignalReceived:
		put("name", e.Name)
		put("signal_id", e.ID)
		out.Data["payload"] = json.RawMessage(orNull(e.Payload))
	case event.TimerFired:
		out.Data["forced"] = e.Forced
	case event.RunCancelled:
		put("reason", e.Message)
	case event.RunQuarantined:
		out.Data["damaged_seq"] = e.Ref
		put("message", e.Message)
	case event.WorkflowRegistered:
		put("workflow_name", e.Name)
		out.Data["version"] = e.Version
		put("digest", e.Digest)
	case event.ObjectDeleted:
		put("key", e.Name)
	case event.EngineStarted:
		put("release", e.Message)
		out.Data["unclean"] = e.Forced
	case event.RunsDeleted:
		put("reason", e.Message)
		out.Data["workflow_ids"] = deleted(e.Payload)
	}
	if len(out.Data) == 0 {
		out.Data = nil
	}
	return out
}

// Opaque makes an Event of a journaled one that a newer release wrote: of its data nothing is known here.
func Opaque(seq, n uint64, at int64, run string, kind event.Kind) Event {
	return Event{Seq: seq, N: n, At: replay.FormatTime(at), WorkflowID: run, Kind: kind.String(), NewerRelease: true}
}

// deleted is the ids of the runs that a RunsDeleted names.
func deleted(payload []byte) []string {
	r := event.NewReader(payload)
	ids := []string{}
	for n := r.Array(); n > 0 && r.Err() == nil; n-- {
		if r.Array() != 4 {
			break
		}
		r.Uint()
		ids = append(ids, r.String())
		r.Uint()
		r.Uint()
	}
	return ids
}

func orNull(b []byte) []byte {
	if len(b) == 0 {
		return []byte("null")
	}
	return b
}

// History gives a run's events after the sequence after, in order, at most limit of them (0: 1,000) and fewer when they are
// large. None: there are no more.
func (e *Engine) History(ctx context.Context, run string, after uint64, limit int) ([]Event, error) {
	if limit <= 0 {
		limit = 1000
	}
	h, last, err := e.lastOf(ctx, run)
	if err != nil {
		return nil, err
	}
	g, err := e.graphOf(h)
	if err != nil {
		return nil, err
	}
	from, err := e.position(h.Run, after)
	if err != nil {
		return nil, e.hurt(h.Run, err)
	}
	var out []Event
	for size := 0; len(out) < limit && size < answerBytes; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := e.j.RunRecords(h.Run, last, from, 256)
		if err != nil {
			return nil, e.hurt(h.Run, err)
		}
		for i := range records {
			if out, err = appendEvents(out, &records[i], after, limit, h.ID, g); err != nil {
				return nil, err
			}
			from = records[i].N + uint64(records[i].Count)
			if size += len(records[i].Body); records[i].Seq >= last || size > answerBytes {
				return out, nil
			}
		}
		if len(records) == 0 {
			break
		}
	}
	return out, nil
}

func appendEvents(out []Event, rec *journal.Record, after uint64, limit int, id string, g *flow.Graph) ([]Event, error) {
	err := event.Read(rec.Body, rec.Count, func(i int, ev *event.Event, opaque bool) error {
		seq := rec.Seq + uint64(i)
		if seq <= after || len(out) >= limit {
			return nil
		}
		if opaque {
			out = append(out, Opaque(seq, position(rec, i), rec.At, id, ev.Kind))
			return nil
		}
		c := *ev
		c.Payload = append([]byte(nil), ev.Payload...)
		out = append(out, Show(seq, position(rec, i), rec.At, id, g, &c))
		return nil
	})
	return out, err
}

func position(rec *journal.Record, i int) uint64 {
	if rec.Run == 0 {
		return 0
	}
	return rec.N + uint64(i)
}

// position is the place in the run from which to read for events after a sequence.
func (e *Engine) position(run, after uint64) (uint64, error) {
	if after < run {
		return 1, nil
	}
	rec, err := e.j.Get(after)
	if err != nil || rec.Run != run {
		return 1, nil // not an event of this run: read from the start, and pass over what is not wanted
	}
	return rec.N, nil
}

// lastOf gives a run's head and the sequence of its last durable record.
func (e *Engine) lastOf(ctx context.Context, id string) (journal.Head, uint64, error) {
	h, err := e.head(id)
	if errors.Is(err, ErrRunNotFound) { // its start may be on its way to the disk
		if _, serr := e.Status(ctx, id, NoSteps()); serr != nil {
			return h, 0, serr
		}
		h, err = e.head(id)
	}
	if err != nil {
		return h, 0, err
	}
	if replay.RunState(h.State).Ended() {
		return h, h.LastSeq, nil
	}
	if n, waits := e.newer.of(h.Run); waits && n.Last != 0 {
		return h, n.Last, nil
	}
	s, err := e.Status(ctx, id, NoSteps())
	if err != nil {
		return h, 0, err
	}
	return h, s.LastSeq, nil
}

// graphOf gives the graph of a run; nil when a newer release wrote what would tell.
func (e *Engine) graphOf(h journal.Head) (*flow.Graph, error) {
	rec, err := e.j.Get(h.Run)
	if err != nil {
		return nil, e.hurt(h.Run, err)
	}
	var digest flow.Digest
	err = event.Read(rec.Body, rec.Count, func(i int, ev *event.Event, _ bool) error {
		if i == 0 {
			digest = flow.Digest(ev.Digest)
		}
		return nil
	})
	if err != nil || digest == "" { // of a newer release
		return nil, err
	}
	g, err := e.graph(digest)
	if errors.Is(err, ErrNewerRelease) {
		return nil, nil
	}
	return g, err
}

// WatchFilter says what Watch gives.
type WatchFilter struct {
	Run   string // id; "": every run, and the engine's own events
	After uint64 // events after this sequence
}

// Watch calls fn for each event as it becomes durable, in journal order, starting with those that are. It returns when ctx
// ends, fn returns an error, or the engine stops. A slow fn delays nobody but itself: events are read from the journal.
func (e *Engine) Watch(ctx context.Context, f WatchFilter, fn func(Event) error) error {
	names := newNames(e)
	after := f.After
	known := false // the run exists, or did
	if f.Run != "" {
		var err error
		after, err = e.past(ctx, f.Run, after, fn)
		if known = err == nil; err != nil && !errors.Is(err, ErrRunNotFound) { // one that is not there yet may come
			return err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		news := e.news.next()
		for after < e.durable.Load() {
			next, err := e.page(ctx, after, f.Run, names, fn)
			if err != nil {
				return err
			}
			if next == after {
				break
			}
			after = next
			if f.Run != "" && !known {
				_, err := e.head(f.Run)
				known = err == nil
			}
		}
		if known && e.endedAfter(f.Run, after) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.done:
			if err := e.err(); err != nil {
				return err
			}
			return ErrClosed
		}
	}
}

// past gives what a run's history holds already, by the run's own links and not by the whole log, and the sequence from which the
// log is to be followed.
func (e *Engine) past(ctx context.Context, run string, after uint64, fn func(Event) error) (uint64, error) {
	for {
		durable := e.durable.Load()
		events, err := e.History(ctx, run, after, 256)
		if err != nil {
			return after, err
		}
		for _, ev := range events {
			if err := fn(ev); err != nil {
				return after, err
			}
			after = ev.Seq
		}
		if len(events) == 0 {
			return max(after, durable), nil
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

// pageBytes is about what a page of the log takes in memory while it is given out; answerBytes what an answer holds.
const (
	pageBytes   = 256 << 10
	answerBytes = 8 << 20
)

var errPageFull = errors.New("the page is full")

// page gives one page of the log to fn, read in a transaction of its own.
func (e *Engine) page(ctx context.Context, after uint64, only string, names *names, fn func(Event) error) (uint64, error) {
	var records []journal.Record
	size := 0
	err := e.j.Scan(after, 512, func(rec journal.Record) error {
		if size > pageBytes {
			return errPageFull
		}
		size += len(rec.Body)
		rec.Body = append([]byte(nil), rec.Body...)
		records = append(records, rec)
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	var damage *journal.DamageError
	if errors.As(err, &damage) && len(records) == 0 {
		return damage.Seq + max(uint64(damage.Count), 1) - 1, nil // reported by whoever owns it; the feed goes on
	}
	if err != nil && damage == nil {
		return after, err
	}
	for i := range records {
		rec := &records[i]
		id, g := "", (*flow.Graph)(nil)
		if rec.Run != 0 {
			var err error
			if id, g, err = names.of(rec.Run); err != nil {
				after = rec.Seq + uint64(rec.Count) - 1
				continue // deleted meanwhile, or quarantined
			}
		}
		if only == "" || id == only {
			events, err := appendEvents(nil, rec, after, int(rec.Count), id, g)
			if err != nil {
				return after, err
			}
			for _, ev := range events {
				if err := ctx.Err(); err != nil {
					return after, err
				}
				if err := fn(ev); err != nil {
					return after, err
				}
			}
		}
		after = rec.Seq + uint64(rec.Count) - 1
	}
	return after, nil
}

// Feed gives up to limit events of all runs after a sequence, and the sequence to go on from.
func (e *Engine) Feed(ctx context.Context, after uint64, limit int) ([]Event, uint64, error) {
	if limit <= 0 {
		limit = 1000
	}
	var out []Event
	names := newNames(e)
	enough := errors.New("enough")
	size := 0
	for after < e.durable.Load() && len(out) < limit {
		next, err := e.page(ctx, after, "", names, func(ev Event) error {
			if len(out) >= limit || size > answerBytes {
				return enough
			}
			size += sizeOf(&ev)
			out = append(out, ev)
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			return nil, after, err
		}
		if len(out) > 0 {
			after = out[len(out)-1].Seq
		}
		if next > after && err == nil {
			after = next
		}
		if err != nil || next == after && len(out) == 0 {
			break
		}
	}
	return out, after, nil
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

// names remembers the ids and graphs of runs while a feed is read.
type names struct {
	e   *Engine
	ids map[uint64]named
}

type named struct {
	id string
	g  *flow.Graph
}

func newNames(e *Engine) *names { return &names{e: e, ids: map[uint64]named{}} }

func (n *names) of(run uint64) (string, *flow.Graph, error) {
	if got, ok := n.ids[run]; ok {
		return got.id, got.g, nil
	}
	h, ok, err := n.e.j.Head(run)
	if err == nil && !ok {
		err = ErrRunNotFound
	}
	if err != nil {
		return "", nil, err
	}
	g, err := n.e.graphOf(h)
	if err != nil {
		return "", nil, err
	}
	if len(n.ids) > 10_000 {
		clear(n.ids)
	}
	n.ids[run] = named{h.ID, g}
	return h.ID, g, nil
}
