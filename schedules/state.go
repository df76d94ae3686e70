package schedules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/internal/rfc3339"
)

// State is a schedule as it stands. It is what is kept of one; what became of its due times is in rows of its ledger.
type State struct {
	Def      Definition `json:"d"`
	Revision uint32     `json:"v"`           // grows with each edit
	Owner    string     `json:"o,omitempty"` // "": the API; else worker:SERVICE
	Known    []string   `json:"k,omitempty"` // digests of its revisions, the newest last
	Created  int64      `json:"ct"`
	Changed  int64      `json:"ch"`
	By       string     `json:"b,omitempty"` // who changed it last

	Cursor  int64     `json:"c"`            // nominal times up to here are decided
	LastRun int64     `json:"lr,omitempty"` // the newest nominal time that has a run, or waits for one
	Runs    int64     `json:"n,omitempty"`  // that due times started, over all revisions
	Paused  *Pause    `json:"p,omitempty"`
	Open    []Open    `json:"r,omitempty"` // runs that have not ended
	Buffer  []Buffer  `json:"q,omitempty"`
	Back    *Backfill `json:"bf,omitempty"`
	Success int64     `json:"ok,omitempty"` // nominal time of the newest run that completed
	Last    *Row      `json:"l,omitempty"`  // the row decided last
	Fold    *Fold     `json:"f,omitempty"`
	Misses  []Day     `json:"m,omitempty"` // of the last days
	Deleted int64     `json:"x,omitempty"` // when it was deleted: what is left is its ledger

	plan *Plan
}

// Pause says since when a schedule is paused, and by whom.
type Pause struct {
	By   string `json:"b,omitempty"`
	At   int64  `json:"at"`
	Note string `json:"t,omitempty"`

	Cursor  int64  `json:"c,omitempty"` // nominal times up to here are not of the pause
	Counted int64  `json:"k,omitempty"` // those up to here were only counted, and are not made up for
	Folds   []Fold `json:"f,omitempty"` // of the pause: those that are one row each, but the last
}

// Open is a run of the schedule that has not ended.
type Open struct {
	ID        string `json:"i"`
	Nominal   int64  `json:"n"`
	Cancelled bool   `json:"c,omitempty"` // it was asked to end
	Back      bool   `json:"b,omitempty"` // it was backfilled
}

// Buffer is a time whose run waits for the end of another one.
type Buffer struct {
	Row   Row             `json:"w"`
	As    Outcome         `json:"o"` // its outcome when it starts
	Input json.RawMessage `json:"i,omitempty"`
}

// Backfill is what was asked for times that are over. They are decided a few at a time.
type Backfill struct {
	ID      string `json:"i"`
	From    int64  `json:"f"`
	To      int64  `json:"u"` // the last moment
	Allow   bool   `json:"a,omitempty"`
	By      string `json:"b,omitempty"`
	At      int64  `json:"at"`
	Cursor  int64  `json:"c"`
	Started int64  `json:"s,omitempty"`
	Exists  int64  `json:"e,omitempty"`
	Failed  int64  `json:"x,omitempty"`
}

// Fold is the times of one outcome that came last, one behind the other.
type Fold struct {
	Outcome Outcome `json:"o"`
	Count   int64   `json:"c"`
	First   int64   `json:"f"`
	Last    int64   `json:"l,omitempty"` // 0: not known, whatever comes behind First
	Times   []int64 `json:"t,omitempty"` // of rows that stand alone; none: they are one row
}

// Day counts what was missed on a day.
type Day struct {
	Day int64 `json:"d"` // days since 1970
	N   int64 `json:"n"`
}

// Encode gives what Decode reads.
func (s *State) Encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("schedules: " + err.Error())
	}
	return b
}

// Decode reads a state.
func Decode(b []byte) (*State, error) {
	s := &State{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	var err error
	s.plan, err = NewPlan(&s.Def)
	return s, err
}

// Plan is when it is due.
func (s *State) Plan() *Plan { return s.plan }

// Digest names a definition among the revisions of a schedule.
func (d Definition) Digest() string {
	sum := sha256.Sum256(d.JSON())
	return hex.EncodeToString(sum[:8])
}

// keptDigests is how many revisions a state knows by their digests.
const keptDigests = 20

// Put makes a definition the schedule's own; s nil: there is none of that name. changed false: it is so already. Times before now are
// never decided again.
func Put(s *State, d *Definition, owner, by string, now int64) (out *State, changed bool, err error) {
	if s == nil {
		s = &State{Created: now}
	}
	own := *d
	paused := own.Paused
	own.Paused = nil
	digest := own.Digest()
	same := s.Revision > 0 && s.Deleted == 0 && s.Def.Digest() == digest && s.Owner == owner && (paused == nil || *paused == (s.Paused != nil))
	if same {
		return s, false, nil
	}
	next := *s
	next.plan, err = NewPlan(&own)
	if err != nil {
		return nil, false, err
	}
	if s.Deleted != 0 {
		next.Created, next.Runs, next.Paused, next.Back, next.Success, next.Misses, next.Known = now, 0, nil, nil, 0, nil, nil
	}
	if s.Deleted != 0 || s.Revision == 0 || s.Def.Digest() != digest {
		next.Revision++
		next.Cursor = max(now, next.LastRun)
		next.Fold = nil
		if next.Paused != nil {
			pause := *next.Paused
			pause.Cursor, pause.Counted, pause.Folds = next.Cursor, 0, nil
			next.Paused = &pause
		}
		if next.Back != nil { // what is to come is not backfilled
			back := *next.Back
			back.To = min(back.To, next.Cursor)
			next.Back = &back
		}
		next.Known = append(slices.Clone(next.Known), digest)
		if n := len(next.Known); n > keptDigests {
			next.Known = next.Known[n-keptDigests:]
		}
	}
	next.Def, next.Owner, next.Deleted = own, owner, 0
	next.Changed, next.By = now, by
	switch {
	case paused == nil:
	case !*paused:
		next.Paused = nil
	case next.Paused == nil:
		next.Paused = &Pause{By: by, At: now, Note: own.Note, Cursor: next.Cursor}
	}
	return &next, true, nil
}

// Has says whether a definition is the schedule's own.
func (s *State) Has(d *Definition) bool { return string(s.Def.JSON()) == string(d.JSON()) }

// Knows says whether a definition is one of the revisions that the schedule has had.
func (s *State) Knows(d *Definition) bool {
	own := *d
	own.Paused = nil
	return slices.Contains(s.Known, own.Digest())
}

// RunID is the id of the run of a due time.
func RunID(name string, nominal int64) string {
	t := time.UnixMilli(nominal).UTC()
	if nominal%1000 != 0 {
		return name + "-" + rfc3339.Format(nominal)
	}
	return name + "-" + t.Format("2006-01-02T15:04:05Z")
}

// triggered stands between the name and the ULID in the id of a run that was started by hand.
const triggered = "-trigger-"

// TriggerID is the id of a run that is started by hand.
func TriggerID(name, ulid string) string { return name + triggered + ulid }

// NameOf gives the name of the schedule that a run with that id may be of, and the nominal time; ok false: of none.
func NameOf(id string) (name string, nominal int64, ok bool) {
	const trigger = len(triggered) + 26
	if len(id) > trigger && id[len(id)-trigger:len(id)-26] == triggered {
		return id[:len(id)-trigger], 0, true
	}
	for _, n := range []int{len("-2026-11-26T02:00:00Z"), len("-2026-11-26T02:00:00.000Z")} {
		if len(id) <= n || id[len(id)-n] != '-' {
			continue
		}
		if t, err := time.Parse(time.RFC3339Nano, id[len(id)-n+1:]); err == nil {
			return id[:len(id)-n], t.UnixMilli(), true
		}
	}
	return "", 0, false
}

// left is how many runs due times may start yet.
func (s *State) left() int64 {
	if s.Def.MaxRuns == 0 {
		return math.MaxInt64
	}
	return max(0, s.Def.MaxRuns-s.Runs)
}

// Ended says whether no due time comes any more, and why.
func (s *State) Ended() (why string, ended bool) {
	if s.left() == 0 {
		return "max_runs is reached", true
	}
	if _, ok := s.plan.Next(s.Cursor); !ok {
		return "its last time is over", true
	}
	return "", false
}

// Next gives the next due time that is not decided, excluded ones too: nominal and when it is due; ok false: there is none.
func (s *State) Next() (nominal, due int64, ok bool) {
	if s.Deleted != 0 || s.left() == 0 {
		return 0, 0, false
	}
	nominal, ok = s.plan.Next(s.Cursor)
	if ok {
		due = s.plan.Due(nominal)
	}
	return nominal, due, ok
}

// Wake is when Decide has something to do; ok false: not before something else happens.
func (s *State) Wake(now int64) (at int64, ok bool) {
	if s.Deleted != 0 {
		return 0, false
	}
	if s.releases() || s.room() {
		return now, true
	}
	_, due, ok := s.Next()
	return due, ok
}

// RunEnded takes a run out of those that are open. It reports whether the state changed.
func (s *State) RunEnded(id string, completed bool) bool {
	i := slices.IndexFunc(s.Open, func(o Open) bool { return o.ID == id })
	if i < 0 {
		return false
	}
	o := s.Open[i]
	s.Open = slices.Delete(slices.Clone(s.Open), i, i+1)
	if completed && o.Nominal > s.Success {
		s.Success = o.Nominal
	}
	return true
}

// missed counts what is missed.
func (s *State) missed(at, n int64) {
	const day = 24 * 3600_000
	today := at / day
	for len(s.Misses) > 0 && s.Misses[0].Day <= today-8 {
		s.Misses = s.Misses[1:]
	}
	if i := len(s.Misses) - 1; i >= 0 && s.Misses[i].Day == today {
		s.Misses[i].N += n
		return
	}
	s.Misses = append(slices.Clone(s.Misses), Day{today, n})
}

// MissedSince counts what was missed in the seven days before a moment, by whole days.
func (s *State) MissedSince(now int64) (n int64) {
	const day = 24 * 3600_000
	for _, d := range s.Misses {
		if d.Day > now/day-7 {
			n += d.N
		}
	}
	return n
}
