package archive

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Graphs finds the graph of a definition.
type Graphs func(flow.Digest) (*flow.Graph, error)

// BrokenError says that a run's records do not make a history: one is missing, misplaced, unreadable or impossible.
type BrokenError struct {
	Run, Seq uint64
	Why      error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("run %d: record %d: %v", e.Run, e.Seq, e.Why)
}

func (e *BrokenError) Unwrap() error { return e.Why }

// ParseGraph makes the graph of a stored definition. One that is not valid here was so when it was stored, and its digest holds: a
// newer release has written it, and the error wraps event.ErrFormat. literal: see flow.RecordedGraph.
func ParseGraph(d flow.Digest, body []byte, literal bool) (*flow.Graph, error) {
	newer := func(why error) error { return fmt.Errorf("definition %s: %w: %v", d, event.ErrFormat, why) }
	def, problems := flow.Parse(body)
	if len(problems) > 0 {
		return nil, newer(problems)
	}
	g, err := flow.RecordedGraph(def, literal)
	if err != nil {
		return nil, newer(err)
	}
	return g, nil
}

// Fold folds one record into s, and gives the new state; s is nil before a run's first record. A record that s has folded
// already is passed over. each, if it is not nil, is called after each event; its error ends the fold and comes back as it is.
func Fold(s *replay.State, rec *journal.Record, graphs Graphs, each func(s *replay.State, i int, e *event.Event) error) (*replay.State, error) {
	return FoldUpto(s, rec, 0, graphs, each)
}

// ErrStop says that a fold ended before the end of a record, because it was to go no further.
var ErrStop = errors.New("stop")

// FoldUpto is Fold that goes no further than the event at the sequence until (0: to the record's end), which is of the record or
// behind it. When that is not the record's last event, the error is ErrStop.
func FoldUpto(s *replay.State, rec *journal.Record, until uint64, graphs Graphs, each func(s *replay.State, i int, e *event.Event) error) (*replay.State, error) {
	broken := func(format string, args ...any) error {
		return &BrokenError{Run: rec.Run, Seq: rec.Seq, Why: fmt.Errorf(format, args...)}
	}
	switch {
	case s == nil && rec.Prev != 0:
		return nil, broken("the run's first record is missing; this one follows record %d", rec.Prev)
	case s != nil && rec.Seq <= s.LastSeq:
		return s, nil
	case s != nil && rec.Prev != s.LastSeq:
		return s, broken("it follows record %d, but the run's last one is %d", rec.Prev, s.LastSeq)
	case s != nil && rec.N != s.Events+1:
		return s, broken("it begins at position %d, but the run has %d events", rec.N, s.Events)
	}
	n := uint32(0)
	var told error // by each
	err := event.Decode(rec.Body, func(i int, e *event.Event) error {
		if s == nil {
			if e.Kind != event.RunStarted {
				return fmt.Errorf("the run begins with %s", e.Kind)
			}
			g, err := graphs(flow.Digest(e.Digest))
			if err != nil {
				return err
			}
			s = replay.New(g)
		}
		n++
		if err := s.Apply(rec.Seq+uint64(i), rec.At, e); err != nil {
			return err
		}
		if each != nil {
			told = each(s, i, e)
		}
		if told == nil && n < rec.Count && until != 0 && rec.Seq+uint64(i) >= until {
			s.EndRecord(rec.Seq)
			told = ErrStop
		}
		return told
	})
	if told != nil {
		return s, told
	}
	if err == nil && n != rec.Count {
		err = fmt.Errorf("%d events, the record says %d", n, rec.Count)
	}
	if err != nil {
		return s, &BrokenError{Run: rec.Run, Seq: rec.Seq, Why: err}
	}
	s.EndRecord(rec.Seq)
	return s, nil
}

// StateAt folds a run up to and with its last event at or before the sequence at, which is not before the run's first; last is a
// record of the run behind which nothing is looked for. It gives the event's sequence and the time of its record. After an error
// the state is that of FoldRun.
func (a *Archive) StateAt(run, last, at uint64) (s *replay.State, seq uint64, when int64, err error) {
	if rec, err := a.j.Get(at); err == nil && rec.Run == run { // what comes behind need not be read
		last = min(last, rec.Seq)
	}
	for rec, err := range a.Run(run, last, 1) {
		if err == nil && rec.Seq > at {
			break
		}
		if err == nil {
			s, err = FoldUpto(s, rec, at, a.Graph, nil)
		}
		if err != nil && !errors.Is(err, ErrStop) {
			return s, seq, when, err
		}
		seq, when = rec.Seq+s.Events-rec.N, rec.At
	}
	if s == nil {
		return nil, 0, 0, &BrokenError{Run: run, Seq: run, Why: fmt.Errorf("the run has no records")}
	}
	return s, seq, when, nil
}

// FoldRun folds a run from its first record up to and with the record last. After an error the state is what could be folded: when
// the error wraps event.ErrFormat, every event before the first that is not understood.
func (a *Archive) FoldRun(run, last uint64) (*replay.State, error) {
	var s *replay.State
	for rec, err := range a.Run(run, last, 1) {
		if err == nil {
			s, err = Fold(s, rec, a.Graph, nil)
		}
		if err != nil {
			return s, err
		}
	}
	if s == nil || s.LastSeq != last {
		return s, &BrokenError{Run: run, Seq: last, Why: fmt.Errorf("the run's records end before it")}
	}
	return s, nil
}
