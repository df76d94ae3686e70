package schedules

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/internal/rfc3339"
)

// Definition is a schedule as people write it. Zero values stand for what was not given; Filled says what holds then.
type Definition struct {
	Name     string            `json:"name"`
	Workflow string            `json:"workflow"`
	Version  uint32            `json:"version,omitempty"`  // of the workflow; 0: the current one
	Cron     []string          `json:"cron,omitempty"`     // five fields, or @hourly and so on
	EveryMS  int64             `json:"every_ms,omitempty"` // at least a second
	At       []Time            `json:"at,omitempty"`
	TimeZone string            `json:"time_zone,omitempty"` // IANA name; "": UTC
	DST      DST               `json:"dst,omitzero"`
	Overlap  string            `json:"overlap,omitempty"`
	CatchUp  *CatchUp          `json:"catch_up,omitempty"`
	JitterMS int64             `json:"jitter_ms,omitempty"`
	Exclude  []Exclude         `json:"exclude,omitempty"`
	StartAt  Time              `json:"start_at,omitzero"`
	EndAt    Time              `json:"end_at,omitzero"`
	MaxRuns  int64             `json:"max_runs,omitempty"` // runs that due times start; 0: no bound
	Input    json.RawMessage   `json:"input,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Paused   *bool             `json:"paused,omitempty"` // nil: as it is
	Note     string            `json:"note,omitempty"`
}

// DST says what a cron text means where the clocks of its zone jump.
type DST struct {
	Gap     string `json:"gap,omitempty"`     // first_valid (as when empty) or skip
	Overlap string `json:"overlap,omitempty"` // first (as when empty), second or both
}

// CatchUp says which times that were missed are made up for: those not older than the window, the newest Max of them.
type CatchUp struct {
	WindowMS int64 `json:"window_ms"`
	Max      int64 `json:"max"`
}

// Exclude takes times out: those of local dates, and those within the minutes that a cron text names.
type Exclude struct {
	Dates []string `json:"dates,omitempty"` // 2026-12-25
	Cron  string   `json:"cron,omitempty"`
}

// What overlap may be: what becomes of a due time while a run of the schedule has not ended.
const (
	Skip          = "skip"       // nothing
	BufferOne     = "buffer_one" // it waits for that run's end; of others that come meanwhile nothing becomes
	BufferAll     = "buffer_all" // up to 100 wait, one after the other
	CancelRunning = "cancel_running"
	Allow         = "allow" // it is started beside it
)

// The values of texts that choose, the one that holds when there is none first.
var (
	Overlaps    = []string{Skip, BufferOne, BufferAll, CancelRunning, Allow}
	Gaps        = []string{"first_valid", "skip"}
	DSTOverlaps = []string{"first", "second", "both"}
)

// What holds when a definition does not say.
const (
	DefaultWindowMS = 3600_000
	DefaultMax      = 1
)

// Filled gives the definition with what holds where it does not say.
func (d Definition) Filled() Definition {
	if d.TimeZone == "" {
		d.TimeZone = "UTC"
	}
	if d.DST.Gap == "" {
		d.DST.Gap = Gaps[0]
	}
	if d.DST.Overlap == "" {
		d.DST.Overlap = DSTOverlaps[0]
	}
	if d.Overlap == "" {
		d.Overlap = Skip
	}
	if d.CatchUp == nil {
		d.CatchUp = &CatchUp{DefaultWindowMS, DefaultMax}
	}
	return d
}

// overlap is what holds.
func (d *Definition) overlap() string {
	if d.Overlap == "" {
		return Skip
	}
	return d.Overlap
}

func (d *Definition) catchUp() CatchUp {
	if d.CatchUp == nil {
		return CatchUp{DefaultWindowMS, DefaultMax}
	}
	return *d.CatchUp
}

// JSON is the definition as it is kept, and compared: what was not given is left out, and so is paused, which is no part of a revision.
func (d Definition) JSON() []byte {
	d.Paused = nil
	b, err := json.Marshal(d)
	if err != nil { // its input is JSON: Read has seen to it
		panic(fmt.Sprintf("schedules: %v", err))
	}
	return b
}

// Time is a moment in Unix milliseconds, in JSON as RFC 3339; 0: none.
type Time int64

// MarshalJSON gives RFC 3339 in UTC, without a fraction when there is none.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	*t = Time(at.UnixMilli())
	return err
}

func (t Time) String() string {
	if t%1000 == 0 {
		return time.UnixMilli(int64(t)).UTC().Format(time.RFC3339)
	}
	return rfc3339.Format(int64(t))
}
