package schedules

import (
	"fmt"
	"math"
)

// Outcome is what became of a due time.
type Outcome string

// The outcomes.
const (
	Fired          Outcome = "fired"           // its run was started
	CaughtUp       Outcome = "caught_up"       // its run was started late: nobody was there when it was due
	SkippedOverlap Outcome = "skipped_overlap" // a run of the schedule had not ended
	Waits          Outcome = "buffered"        // open: it waits for that run's end
	Missed         Outcome = "missed"          // nobody was there when it was due, and it is not made up for
	PausedThen     Outcome = "paused"          // the schedule was paused
	Excluded       Outcome = "excluded"        // the definition takes it out
	Triggered      Outcome = "triggered"       // started by hand
	Backfilled     Outcome = "backfilled"      // started by hand, for a time that is over
	StartFailed    Outcome = "start_failed"    // its run could not be started: Code
)

// Outcomes are all of them.
var Outcomes = []Outcome{Fired, CaughtUp, SkippedOverlap, Waits, Missed, PausedThen, Excluded, Triggered, Backfilled, StartFailed}

// Codes of StartFailed.
const (
	FailedNoWorkflow = "workflow_not_found" // there is no such workflow, or no such version of it
	FailedIDTaken    = "run_id_taken"       // a run of somebody else has the id
	FailedDefinition = "definition_unreadable"
)

// Row is what became of one due time, or of several in a row when Count is not 0. Times are Unix milliseconds.
type Row struct {
	Nominal  int64   `json:"n"`
	Last     int64   `json:"l,omitempty"` // of several: the nominal time of the last one
	Count    int64   `json:"c,omitempty"` // how many these are
	Due      int64   `json:"d"`
	Decided  int64   `json:"at"`
	Started  int64   `json:"s,omitempty"` // when its run was started; 0: it was not, or not yet
	Outcome  Outcome `json:"o"`
	Code     string  `json:"e,omitempty"`
	Detail   string  `json:"t,omitempty"`
	Run      string  `json:"r,omitempty"` // the id of its run
	Revision uint32  `json:"v"`
	By       string  `json:"b,omitempty"` // who asked, of what was done by hand
	Local    string  `json:"z"`
	Note     string  `json:"x,omitempty"`  // what clocks that jump have to do with it
	LastText string  `json:"lz,omitempty"` // of several: the last one as Local
	Hand     string  `json:"h,omitempty"`  // of a trigger: the id that its run has, or was to have
	Zone     string  `json:"tz,omitempty"` // of Local; "": UTC
}

// far lies behind all times that there are, so that keys of rows count down.
const far = int64(1) << 60

// Key orders the rows of a ledger, the newest time first. A row with the key of another one replaces it.
func (r *Row) Key() string {
	kind := "d"
	switch {
	case r.Count != 0:
		kind = "f"
	case r.Hand != "":
		kind = "t" + r.Hand
	}
	return rowKey(r.Nominal, r.Revision, kind)
}

func rowKey(nominal int64, revision uint32, kind string) string {
	return fmt.Sprintf("%016x.%08x%s", far-nominal, math.MaxUint32-revision, kind)
}

// KeyAt is behind the keys of all rows that are newer than a moment, and before those of the others.
func KeyAt(ms int64) string { return fmt.Sprintf("%016x", far-ms) }

// Times is of how many due times the row tells.
func (r *Row) Times() int64 { return max(r.Count, 1) }

// Open says that its outcome is not known yet.
func (r *Row) Open() bool { return r.Outcome == Waits }

// Over says whether all that the row tells of was before a moment.
func (r *Row) Over(until int64) bool {
	return !r.Open() && max(r.Nominal, r.Last, r.Decided, r.Started) < until
}
