// Package sealed keeps payloads unreadable in a journal. A Log is a journal.Log around another one: what is appended through it has its
// payloads sealed on the way, and what is read has them opened. Payloads are inputs, outputs, signal payloads, object states, what
// handlers wrote to their logs, schedules, and the snapshots of runs, which hold some of them. Ids, names, states, times, error texts and definitions are not sealed: lists, indexes and checks
// work without a key.
//
// A sealed payload is
//
//	0xC1 | length of the key's id: 1 | key's id | what the codec made
//
// No JSON text begins with 0xC1, and no snapshot. So a journal may hold both: what was written before there was a key stays readable.
// The row codec/ID says that the key ID has sealed something, and holds a sealed text by which another key of that name shows itself.
package sealed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
)

// Codec seals payloads. place says where a payload stands; one that was moved elsewhere must not open. Methods are called from any
// goroutine.
type Codec interface {
	// KeyID names the key that Seal uses: 1 to 255 bytes. The same id always stands for the same key.
	KeyID() string
	Seal(plain, place []byte) []byte
	// Open reverses Seal for a key by its id, which may be an older one.
	Open(keyID string, sealed, place []byte) ([]byte, error)
}

const mark = 0xC1

// rowPrefix begins the keys of rows that name the keys of a journal, and proof is what they hold, sealed.
const (
	rowPrefix = "codec/"
	proof     = "agnt5d"
)

// ErrKey says that the key of a journal is missing or is another one.
var ErrKey = errors.New("the payload key does not fit the journal")

// Log is a journal whose payloads are sealed.
type Log struct {
	journal.Log
	c      Codec
	proof  *journal.Row // of a new key; nil: the journal has it
	proved atomic.Bool  // a batch that had the proof is written
}

// Wrap gives a journal whose payloads are sealed by a codec; nil: by none, and then the journal must not have any that are. The error
// names the key that is wanted.
func Wrap(j journal.Log, c Codec) (journal.Log, error) {
	rows, err := j.Rows(rowPrefix)
	if err != nil {
		return nil, err
	}
	known := false
	for _, row := range rows {
		id := row.Key[len(rowPrefix):]
		if c == nil {
			return nil, fmt.Errorf("%w: its payloads are sealed with the key %q, and no payload key was given", ErrKey, id)
		}
		if row.Damaged != "" { // it proves nothing; that of the key in use is made anew
			continue
		}
		if text, err := Open(c, row.Value, []byte(row.Key)); err != nil || string(text) != proof {
			return nil, fmt.Errorf("%w: the key %q, with which payloads are sealed, is not among those that were given, or is another one", ErrKey, id)
		}
		known = known || id == c.KeyID()
	}
	if c == nil {
		return j, nil
	}
	if n := len(c.KeyID()); n < 1 || n > 255 {
		return nil, fmt.Errorf("the id of the payload key has %d bytes, want 1 to 255", n)
	}
	l := &Log{Log: j, c: c}
	if !known {
		key := rowPrefix + c.KeyID()
		l.proof = &journal.Row{Key: key, Value: Seal(c, []byte(proof), []byte(key))}
	}
	return l, nil
}

// Seal seals one text for a place.
func Seal(c Codec, plain, place []byte) []byte {
	id := c.KeyID()
	return append(append([]byte{mark, byte(len(id))}, id...), c.Seal(plain, place)...)
}

// Open gives the text that Seal sealed for the place. One that is not sealed is given as it is.
func Open(c Codec, text, place []byte) ([]byte, error) {
	if len(text) == 0 || text[0] != mark {
		return text, nil
	}
	if len(text) < 2 || len(text) < 2+int(text[1]) {
		return nil, errors.New("a sealed payload is cut off")
	}
	id := string(text[2 : 2+text[1]])
	plain, err := c.Open(id, text[2+len(id):], place)
	if err != nil {
		return nil, fmt.Errorf("a payload that is sealed with the key %q does not open: %w", id, err)
	}
	return plain, nil
}

// The places of payloads. Where one stands within its record its own bytes tell: order and number are under the record's checksum.
func inRecord(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte("record "), seq) }
func inRun(run uint64) []byte    { return binary.BigEndian.AppendUint64([]byte("run "), run) }
func inObject(key string) []byte { return []byte("object " + key) }
func inRow(key string) []byte    { return []byte("row " + key) }
func inLog(s *journal.Said) []byte {
	return fmt.Appendf(nil, "log %d %q %d %d", s.Run, s.Step, s.Attempt, s.At)
}

// Append seals what a batch has. The caller's batch stays as it is.
func (l *Log) Append(b *journal.Batch, done func(error)) {
	own := *b
	own.Records = slices.Clone(b.Records)
	for i := range own.Records {
		r := &own.Records[i]
		place := inRecord(r.Seq)
		body, changed, err := event.Payloads(r.Body, func(p []byte) ([]byte, error) { return Seal(l.c, p, place), nil })
		if err != nil { // the engine wrote it
			panic(fmt.Sprintf("sealed: record %d cannot be read: %v", r.Seq, err))
		}
		if changed {
			r.Body = body
		}
	}
	own.Snapshots = slices.Clone(b.Snapshots)
	for i := range own.Snapshots {
		if s := &own.Snapshots[i]; s.State != nil {
			s.State = Seal(l.c, s.State, inRun(s.Run))
		}
	}
	own.Objects = slices.Clone(b.Objects)
	for i := range own.Objects {
		if o := &own.Objects[i]; len(o.State) > 0 {
			o.State = Seal(l.c, o.State, inObject(o.Key))
		}
	}
	own.Said = slices.Clone(b.Said)
	for i := range own.Said {
		if s := &own.Said[i]; len(s.Text) > 0 {
			s.Text = Seal(l.c, s.Text, inLog(s))
		}
	}
	own.Rows = slices.Clone(b.Rows)
	for i := range own.Rows {
		if r := &own.Rows[i]; len(r.Value) > 0 && strings.HasPrefix(r.Key, journal.Payload) {
			r.Value = Seal(l.c, r.Value, inRow(r.Key))
		}
	}
	if l.proof != nil && !l.proved.Load() { // with each batch until one is written: the first may find no space
		own.Rows = append(own.Rows, *l.proof)
		told := done
		done = func(err error) {
			if err == nil {
				l.proved.Store(true)
			}
			told(err)
		}
	}
	l.Log.Append(&own, done)
}

func (l *Log) record(r *journal.Record) error {
	place := inRecord(r.Seq)
	body, changed, err := event.Payloads(r.Body, func(p []byte) ([]byte, error) { return Open(l.c, p, place) })
	if err != nil {
		return &journal.DamageError{Damage: journal.Damage{Seq: r.Seq, Count: r.Count, Run: r.Run, Kind: "record", Detail: err.Error()}}
	}
	if changed {
		r.Body = body
	}
	return nil
}

func (l *Log) snapshot(s *journal.Snapshot) error {
	state, err := Open(l.c, s.State, inRun(s.Run))
	if err != nil {
		return &journal.DamageError{Damage: journal.Damage{Run: s.Run, Kind: "snapshot", Detail: err.Error()}}
	}
	s.State = state
	return nil
}

func (l *Log) object(o *journal.Object) error {
	state, err := Open(l.c, o.State, inObject(o.Key))
	if err != nil {
		return &journal.DamageError{Damage: journal.Damage{Kind: "object", Detail: fmt.Sprintf("%q: %v", o.Key, err)}}
	}
	o.State = state
	return nil
}

// Recover tells v what is there, with the payloads opened.
func (l *Log) Recover(v journal.Visitor) error { return l.Log.Recover(&visitor{v, l}) }

type visitor struct {
	journal.Visitor
	l *Log
}

func (v *visitor) Snapshot(s journal.Snapshot) error {
	if err := v.l.snapshot(&s); err != nil {
		return err
	}
	return v.Visitor.Snapshot(s)
}

func (v *visitor) Record(r journal.Record) error {
	if err := v.l.record(&r); err != nil {
		return err
	}
	return v.Visitor.Record(r)
}

// Get gives the record that holds an event.
func (l *Log) Get(seq uint64) (journal.Record, error) {
	r, err := l.Log.Get(seq)
	if err == nil {
		err = l.record(&r)
	}
	return r, err
}

// GetMany gives several of them.
func (l *Log) GetMany(seqs []uint64, fn func(i int, r journal.Record) error) error {
	return l.Log.GetMany(seqs, func(i int, r journal.Record) error {
		if err := l.record(&r); err != nil {
			return err
		}
		return fn(i, r)
	})
}

// Scan gives records in the order of the log.
func (l *Log) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	return l.Log.Scan(after, limit, func(r journal.Record) error {
		if err := l.record(&r); err != nil {
			return err
		}
		return fn(r)
	})
}

// RunRecords gives records of a run.
func (l *Log) RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	all, err := l.Log.RunRecords(run, last, fromN, limit)
	for i := range all {
		if bad := l.record(&all[i]); bad != nil {
			return all[:i], bad
		}
	}
	return all, err
}

// Snapshot gives a run's snapshot.
func (l *Log) Snapshot(run uint64) (journal.Snapshot, bool, error) {
	s, ok, err := l.Log.Snapshot(run)
	if err == nil && ok {
		err = l.snapshot(&s)
	}
	return s, ok, err
}

// Object gives an object.
func (l *Log) Object(key string) (journal.Object, bool, error) {
	o, ok, err := l.Log.Object(key)
	if err == nil && ok {
		err = l.object(&o)
	}
	return o, ok, err
}

// Objects gives several.
func (l *Log) Objects(prefix, after string, limit int) ([]journal.Object, error) {
	all, err := l.Log.Objects(prefix, after, limit)
	for i := range all {
		if o := &all[i]; o.Damaged == "" {
			if bad := l.object(o); bad != nil {
				*o = journal.Object{Key: o.Key, Damaged: bad.Error()}
			}
		}
	}
	return all, err
}

// Row gives a setting.
func (l *Log) Row(key string) ([]byte, bool, error) {
	value, ok, err := l.Log.Row(key)
	if err == nil && ok {
		value, err = l.row(key, value)
	}
	return value, ok, err
}

// Rows gives the settings whose keys begin with a prefix.
func (l *Log) Rows(prefix string) ([]journal.Row, error) {
	all, err := l.Log.Rows(prefix)
	return l.rows(all, err)
}

// RowsAfter gives some of them.
func (l *Log) RowsAfter(prefix, after string, limit int) ([]journal.Row, error) {
	all, err := l.Log.RowsAfter(prefix, after, limit)
	return l.rows(all, err)
}

func (l *Log) rows(all []journal.Row, err error) ([]journal.Row, error) {
	for i := range all {
		if r := &all[i]; r.Damaged == "" {
			var bad error
			if r.Value, bad = l.row(r.Key, r.Value); bad != nil {
				r.Value, r.Damaged = nil, bad.Error()
			}
		}
	}
	return all, err
}

// row opens a setting that is a payload.
func (l *Log) row(key string, value []byte) ([]byte, error) {
	if !strings.HasPrefix(key, journal.Payload) {
		return value, nil
	}
	value, err := Open(l.c, value, inRow(key))
	if err != nil {
		return nil, &journal.DamageError{Damage: journal.Damage{Kind: "row", Detail: fmt.Sprintf("%q: %v", key, err)}}
	}
	return value, nil
}

// Said gives what attempts wrote to their logs. A limit is about what was written, which is less than what stands there sealed.
func (l *Log) Said(run uint64, step string, after journal.SaidMark, limit int) (all []journal.Said, err error) {
	for left := limit; ; {
		if limit > 0 {
			left = max(left, 1) // 0 stands for all
		}
		some, err := l.Log.Said(run, step, after, left)
		if err != nil || len(some) == 0 {
			return all, err
		}
		for i := range some {
			s := &some[i]
			text, err := Open(l.c, s.Text, inLog(s))
			if err != nil {
				return all, &journal.DamageError{Damage: journal.Damage{Run: run, Kind: "row", Detail: fmt.Sprintf("the log of step %q, attempt %d: %v", s.Step, s.Attempt, err)}}
			}
			s.Text = text
			left -= len(text)
			after = journal.SaidMark{Step: s.Step, Attempt: s.Attempt}
		}
		all = append(all, some...)
		if limit == 0 || left < 0 {
			return all, nil
		}
	}
}
