package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Log is what an Archive reads: a part of journal.Log.
type Log interface {
	Get(seq uint64) (journal.Record, error)
	Scan(after uint64, limit int, fn func(journal.Record) error) error
	RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error)
	Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error)
	Head(run uint64) (journal.Head, bool, error)
	Snapshot(run uint64) (journal.Snapshot, bool, error)
	Definitions() ([]journal.Definition, error)
	DefinitionBody(digest string) ([]byte, error)
	Row(key string) (value []byte, ok bool, err error)
}

// Archive reads a log. It is safe for concurrent use.
type Archive struct {
	j      Log
	graphs sync.Map // flow.Digest -> *flow.Graph

	lists lists // that steps go over

	mu         sync.Mutex
	names      map[uint64]named     // of runs whose events were read lately
	registered []journal.Definition // what the log tells of versions; nil: it was not asked
}

// named is a run as its events are shown.
type named struct {
	id string
	g  *flow.Graph // nil: a newer release wrote what would tell
}

// New gives an Archive of a log, which stays the caller's.
func New(j Log) *Archive { return &Archive{j: j, names: map[uint64]named{}} }

// DeletedError is the refusal.ErrRunExpired of a run that was deleted.
type DeletedError struct {
	ID    string
	Until int64 // Unix ms: how long the id is kept
}

func (e *DeletedError) Error() string {
	return "the run was deleted; nothing of it is kept but its id, which cannot be used again until " + rfc3339.Format(e.Until)
}
func (e *DeletedError) Unwrap() error { return refusal.ErrRunExpired }

// DeletingError is the refusal.ErrRunExpired of a run whose deletion has begun.
type DeletingError struct{}

func (*DeletingError) Error() string {
	return "its deletion has begun, and children of it are gone already, so it cannot go on; delete it to end that"
}
func (*DeletingError) Unwrap() error { return refusal.ErrRunExpired }

// Find gives the number of the run with an id, or refusal.ErrRunNotFound, or a *DeletedError while a deleted run's id is still kept
// at the time now (Unix ms).
func (a *Archive) Find(id string, now int64) (uint64, error) {
	run, until, ok, err := a.j.Lookup(id)
	switch {
	case err != nil:
		return 0, err
	case until > now:
		return 0, &DeletedError{id, until}
	case !ok || until != 0:
		return 0, refusal.ErrRunNotFound
	}
	return run, nil
}

// FindHead is Find that gives the run's head.
func (a *Archive) FindHead(id string, now int64) (journal.Head, error) {
	run, err := a.Find(id, now)
	if err != nil {
		return journal.Head{}, err
	}
	return a.Head(run)
}

// Head gives a run's head, or refusal.ErrRunNotFound.
func (a *Archive) Head(run uint64) (journal.Head, error) {
	h, ok, err := a.j.Head(run)
	switch {
	case err == nil && !ok:
		err = refusal.ErrRunNotFound
	case h.Damaged && h.State != journal.OpenState:
		err = fmt.Errorf("%w (its head is damaged, and where its records end is not known)", refusal.ErrRunQuarantined)
	}
	return h, err
}

// Name is what a run is called: its id, or its number when its head cannot be read.
func (a *Archive) Name(run uint64) string {
	if n, ok := a.known(run); ok {
		return n.id
	}
	h, ok, err := a.j.Head(run)
	if err != nil || !ok {
		return nameless(run)
	}
	return h.ID
}

func nameless(run uint64) string { return fmt.Sprintf("#%d", run) }

// damagedHead is what lists say of a run whose head is damaged.
const damagedHead = "its journal is damaged"

// firstSight is the head of a run of which only the first record is to be had. It is a bolt.Naming.
func firstSight(first journal.Record) journal.Head {
	h := journal.Head{ID: nameless(first.Run), State: uint8(replay.Quarantined), Failed: damagedHead}
	_ = event.Read(first.Body, first.Count, func(i int, e *event.Event, opaque bool) error {
		if i == 0 && !opaque && e.Kind == event.RunStarted {
			h.ID, h.Workflow, h.Version, h.Tags = e.ID, e.Name, e.Version, tagTexts(e.Tags, e.Parent, false)
		}
		return nil
	})
	return h
}

// NameRuns lets damaged heads not stand in the way of a journal's lists, if it is one that has such.
func NameRuns(j any) {
	if j, ok := j.(interface {
		NameRuns(fn func(journal.Record) journal.Head)
	}); ok {
		j.NameRuns(firstSight)
	}
}

func (a *Archive) known(run uint64) (named, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.names[run]
	return n, ok
}

// namesKept is of how many runs the archive remembers ids and graphs.
const namesKept = 10_000

// named gives a run's id and graph.
func (a *Archive) named(run uint64) (named, error) {
	if n, ok := a.known(run); ok {
		return n, nil
	}
	h, err := a.Head(run)
	if err != nil {
		return named{}, err
	}
	g, err := a.GraphOf(run)
	if err != nil {
		return named{}, err
	}
	n := named{h.ID, g}
	a.remember(run, n)
	return n, nil
}

func (a *Archive) remember(run uint64, n named) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.names) >= namesKept {
		clear(a.names)
	}
	a.names[run] = n
}

// UndefinedError is the damage of a definition. Nothing of its runs is damaged: they can go on when it is there again.
type UndefinedError struct{ Damage journal.DamageError }

func (e *UndefinedError) Error() string {
	return fmt.Sprintf("the definition is damaged in the journal; register the workflow again, then restart the daemon (%s)", e.Damage.Detail)
}

func (e *UndefinedError) Unwrap() []error { return []error{refusal.ErrDamaged, &e.Damage} }

// Graph gives the graph of a definition. It is made once, and shared.
func (a *Archive) Graph(d flow.Digest) (*flow.Graph, error) {
	if g, ok := a.graphs.Load(d); ok {
		return g.(*flow.Graph), nil
	}
	body, err := a.j.DefinitionBody(string(d))
	if damage := (*journal.DamageError)(nil); errors.As(err, &damage) {
		return nil, &UndefinedError{*damage}
	}
	if err != nil {
		return nil, err
	}
	literal := false
	if expression.HasTemplate(json.RawMessage(body)) {
		_, meant, err := a.j.Row(TemplatesRow(d))
		if err != nil {
			return nil, err
		}
		literal = !meant
	}
	g, err := ParseGraph(d, body, literal)
	if err != nil {
		return nil, err
	}
	return a.Keep(g), nil
}

// TemplatesRow is the key of the setting which says that ${ in the object keys of a definition begins an expression. What was stored before
// there were such has none, and ${ is what it says.
func TemplatesRow(d flow.Digest) string { return "templates/" + string(d) }

// Keep remembers the graph of a definition that is on its way to the journal. It gives the one that is shared.
func (a *Archive) Keep(g *flow.Graph) *flow.Graph {
	got, _ := a.graphs.LoadOrStore(g.Digest, g)
	return got.(*flow.Graph)
}

// GraphOf gives the graph of a run; nil when a newer release wrote what would tell.
func (a *Archive) GraphOf(run uint64) (*flow.Graph, error) {
	first, err := a.First(run)
	if err == nil {
		var g *flow.Graph
		if g, err = a.Graph(flow.Digest(first.Digest)); err == nil {
			return g, nil
		}
	}
	if errors.Is(err, event.ErrFormat) {
		return nil, nil
	}
	return nil, err
}

// First gives a run's first event, its RunStarted. What a newer release wrote wraps event.ErrFormat.
func (a *Archive) First(run uint64) (event.Event, error) {
	var first event.Event
	rec, err := a.j.Get(run)
	if err != nil {
		return first, err
	}
	err = event.Read(rec.Body, rec.Count, func(i int, ev *event.Event, opaque bool) error {
		switch {
		case i > 0:
		case opaque:
			return fmt.Errorf("the run's start is of kind %d: %w", ev.Kind, event.ErrFormat)
		case ev.Kind != event.RunStarted:
			return fmt.Errorf("the run begins with %s", ev.Kind)
		default:
			first = *ev
			first.Payload = append([]byte(nil), ev.Payload...)
		}
		return nil
	})
	if err != nil {
		return first, &BrokenError{Run: run, Seq: run, Why: err}
	}
	return first, nil
}

// Ended folds a run that has ended. Its snapshot is what there is of one that was damaged, and is quicker than its records.
func (a *Archive) Ended(h journal.Head) (*replay.State, error) {
	if snap, ok, err := a.j.Snapshot(h.Run); err == nil && ok && snap.Seq == h.LastSeq {
		if s, err := a.Decode(snap.State); err == nil {
			return s, nil
		}
	}
	return a.FoldRun(h.Run, h.LastSeq)
}

// Payload gives the bytes of a payload, from memory or from the journal.
func (a *Archive) Payload(p replay.Payload) (json.RawMessage, error) {
	if p.Data != nil || p.Seq == 0 {
		return OrNull(p.Data), nil
	}
	rec, err := a.j.Get(p.Seq)
	if err != nil {
		return nil, err
	}
	var out json.RawMessage
	err = event.Decode(rec.Body, func(i int, ev *event.Event) error {
		if rec.Seq+uint64(i) != p.Seq {
			return nil
		}
		if out = ev.Payload[:len(ev.Payload):len(ev.Payload)]; len(out) < len(rec.Body)/2 {
			out = slices.Clone(out) // else it would hold much more in memory than it is
		}
		return nil
	})
	if err == nil && len(out) != int(p.Len) {
		err = fmt.Errorf("event %d holds %d bytes, want %d", p.Seq, len(out), p.Len)
	}
	return out, err
}

// OrNull gives the bytes of a payload, of which none stand for null.
func OrNull(b []byte) []byte {
	if len(b) == 0 {
		return []byte("null")
	}
	return b
}
