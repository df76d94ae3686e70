package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Retention says how long runs are kept after their end, by how they ended; 0: for ever. A definition may say it for its runs
// (flow.Definition.Retention), and each state that it does not name follows the engine's. Quarantined runs are kept.
type Retention struct {
	Completed, Failed, Cancelled time.Duration
}

// of gives how long runs that ended so are kept, in milliseconds; 0: for ever.
func (r Retention) of(state replay.RunState) int64 {
	switch state {
	case replay.Completed:
		return r.Completed.Milliseconds()
	case replay.Failed:
		return r.Failed.Milliseconds()
	case replay.Cancelled:
		return r.Cancelled.Milliseconds()
	}
	return 0
}

const (
	deleteFew  = 200            // runs that are deleted with one record: what a commit takes away delays who comes behind it
	deleteMost = 1_000          // the same while more is recorded than is deleted
	deleteLook = 1_000          // runs that are looked at at a time
	deleteRest = 24             // the keeper rests so many times as long as a slice took, unless as much was recorded meanwhile
	lookAnew   = 24 * time.Hour // how often all runs are looked at again: some could not be deleted when their time was over
	lookMost   = time.Hour      // the longest wait between two looks
	lookLeast  = time.Second    // the shortest
	largeFile  = 1 << 30        // from this size on, the log says that nothing is ever deleted
)

// keeper deletes the runs whose time is over, a slice at a time. It goes by the order in which runs ended, once for each length of
// time that anything is kept, so that each run is looked at when its time is over and not before.
type keeper struct {
	e     *Engine
	own   map[string]Retention // of the definitions that say something, by digest; the zero value: nothing
	done  map[int64]int64      // by how long: runs that ended before this were looked at
	anew  time.Time            // when all are looked at again
	begun bool                 // deletions that have begun must be gone on with
	rows  time.Time            // when the ledgers of schedules are looked at again
	large bool                 // the log has said that the file is large
	bad   bool                 // the log has said that runs cannot be looked at
	slice int                  // runs that are deleted with one record, at most
}

// keep deletes runs until the engine stops.
func (e *Engine) keep(ctx context.Context) {
	defer close(e.keeping)
	k := keeper{e: e, own: map[string]Retention{}, done: map[int64]int64{}, slice: deleteFew}
	for {
		wait := k.turn(ctx)
		at, stop := e.o.Clock.After(wait)
		select {
		case <-at:
		case <-e.awake:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

// turn deletes what is over now, and says when to look again.
func (k *keeper) turn(ctx context.Context) time.Duration {
	versions, spans, err := k.policies()
	if err == nil {
		k.sayLarge(len(spans) == 0)
		if now := k.e.o.Clock.Now(); now.After(k.anew) {
			clear(k.done)
			k.anew = now.Add(lookAnew)
			k.begun = true
		}
		if k.begun {
			if err = k.end(ctx); err == nil {
				k.begun = false
			}
		}
		for _, span := range spans {
			if err != nil {
				break
			}
			err = k.over(ctx, span, versions)
		}
	}
	if err == nil {
		err = k.ledgers(ctx)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrDiskFull) && !k.bad {
		k.bad = true
		k.e.o.Logger.Error("what is kept only for a time cannot be deleted", "err", err)
	}
	wait := lookMost
	if len(spans) > 0 {
		wait = min(wait, time.Duration(spans[0])*time.Millisecond/10)
	}
	return max(wait, lookLeast)
}

// lookAgain lets the keeper look now: something else may be over.
func (e *Engine) lookAgain() {
	select {
	case e.awake <- struct{}{}:
	default:
	}
}

// version is a version of a workflow.
type version struct {
	name string
	n    uint32
}

// policies gives what each version of a workflow keeps, where it is not what the engine keeps, and all lengths of time, in
// milliseconds and ascending.
func (k *keeper) policies() (map[version]Retention, []int64, error) {
	spans := map[int64]bool{}
	add := func(r Retention) {
		for _, state := range []replay.RunState{replay.Completed, replay.Failed, replay.Cancelled} {
			if ms := r.of(state); ms > 0 {
				spans[ms] = true
			}
		}
	}
	add(k.e.o.Retention)
	all, _, err := k.e.archive.Versions()
	if err != nil {
		return nil, nil, err
	}
	versions := map[version]Retention{}
	for _, d := range all {
		own, known := k.own[d.Digest]
		if !known {
			body, err := k.e.j.DefinitionBody(d.Digest)
			if err != nil { // damaged, and reported by those who read it: its runs are kept
				continue
			}
			own = k.ownOf(body)
			k.own[d.Digest] = own
		}
		if own != k.e.o.Retention {
			versions[version{d.Name, d.Version}] = own
			add(own)
		}
	}
	return versions, slices.Sorted(maps.Keys(spans)), nil
}

// ownOf gives what a definition says, and of what it does not say what the engine keeps.
func (k *keeper) ownOf(body []byte) Retention {
	var d struct {
		Retention struct {
			Completed *int64 `json:"completed_ms"`
			Failed    *int64 `json:"failed_ms"`
			Cancelled *int64 `json:"cancelled_ms"`
		} `json:"retention"`
	}
	_ = json.Unmarshal(body, &d) // what is stored is right; a newer release may say more in it
	r := k.e.o.Retention
	for _, one := range []struct {
		own  *int64
		into *time.Duration
	}{{d.Retention.Completed, &r.Completed}, {d.Retention.Failed, &r.Failed}, {d.Retention.Cancelled, &r.Cancelled}} {
		if one.own != nil {
			*one.into = time.Duration(*one.own) * time.Millisecond
		}
	}
	return r
}

// over deletes the runs that are kept for so many milliseconds, and ended before that.
func (k *keeper) over(ctx context.Context, span int64, versions map[version]Retention) error {
	until := k.e.o.Clock.Now().UnixMilli() - span
	mine := func(h *journal.Head) bool {
		kept, own := versions[version{h.Workflow, h.Version}]
		if !own {
			kept = k.e.o.Retention
		}
		return kept.of(replay.RunState(h.State)) == span
	}
	f := journal.HeadFilter{ByEnd: true, EndedSince: k.done[span], EndedUntil: until, Keep: mine, Limit: deleteLook, Look: deleteLook}
	if until <= f.EndedSince {
		return nil
	}
	for {
		began, before := time.Now(), k.e.durable.Load()
		page, err := k.e.j.Heads(f)
		if err != nil {
			return err
		}
		if err := k.rest(ctx, time.Since(began), before+deleteLook/2); err != nil { // fewer events than these runs have had
			return err
		}
		g := gathering{e: k.e, remove: func(all []doomed) error { return k.delete(ctx, all, "retention") }}
		for i := range page.Heads {
			h := &page.Heads[i]
			if parent, has := k.e.parentOf(h); has && replay.RunState(parent.State) != replay.Completed {
				continue // it goes with that one, which may be retried and want it again until then
			}
			if err := g.addHead(ctx, h); err != nil && !errors.Is(err, ErrRunOpen) { // one that is open is looked at again when all are
				return err
			}
		}
		if err := g.flush(); err != nil {
			return err
		}
		if f.After = page.Next; f.After == (journal.HeadMark{}) {
			k.done[span] = until
			return nil
		}
	}
}

// delete deletes runs, and rests after each slice of them.
func (k *keeper) delete(ctx context.Context, all []doomed, reason string) error {
	for len(all) > 0 {
		most, events := min(len(all), k.slice), uint64(0)
		for i := range all[:most] {
			events += all[i].events
		}
		began, before := time.Now(), k.e.durable.Load()
		var err error
		if _, all, err = k.e.deleteSlice(ctx, all, most, reason); err != nil {
			return err
		}
		if k.slice = max(k.slice/2, deleteFew); k.e.durable.Load()-before > events/2 { // many write: a slice waits for its turn, so more must go with it
			k.slice = min(4*k.slice, deleteMost)
		}
		if err := k.rest(ctx, time.Since(began), before+events/2); err != nil {
			return err
		}
	}
	return nil
}

// end goes on with deletions that have begun and did not come to an end.
func (k *keeper) end(ctx context.Context) error {
	begun, err := k.e.deletionsBegun()
	if err != nil {
		return err
	}
	for _, d := range begun {
		g := gathering{e: k.e, remove: func(all []doomed) error { return k.delete(ctx, all, d.Reason) }}
		err := g.add(ctx, d.ID)
		if err == nil {
			err = g.flush()
		}
		if err != nil && !errors.Is(err, ErrRunOpen) {
			return err
		}
	}
	return nil
}

// rest lets those go on who wait for the engine: for a multiple of the time that a slice took, or until the event enough was recorded (0: no
// event is), which is half as many behind the slice's begin as it deleted, or fewer. So the file does not grow however much there is to do.
func (k *keeper) rest(ctx context.Context, took time.Duration, enough uint64) error {
	timer := time.NewTimer(took * deleteRest)
	defer timer.Stop()
	for {
		news := k.e.news.next()
		if enough > 0 && k.e.durable.Load() >= enough {
			return ctx.Err()
		}
		if enough == 0 {
			news = nil
		}
		select {
		case <-news:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sayLarge tells, once, that a file has become large from which nothing is ever deleted.
func (k *keeper) sayLarge(forever bool) {
	if !forever || k.large {
		return
	}
	if size := k.e.j.Stats().FileBytes; size > largeFile {
		k.large = true
		k.e.o.Logger.Warn("the journal grows: runs that have ended are kept for ever, unless retention is set (agnt5d serve --retention-completed 30d, ...) or they are deleted (agnt5d purge)", "bytes", size)
	}
}
