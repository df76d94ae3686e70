package model

import "encoding/json"

// Schedule is a schedule as it is.
type Schedule struct {
	Name       string          `json:"name"`
	State      string          `json:"state"` // active, paused, ended, deleted; damaged: nothing but its name can be read, and it does not fire
	Revision   uint32          `json:"revision"`
	Owner      string          `json:"owner"` // api, or worker:SERVICE
	Definition json.RawMessage `json:"definition"`
	Paused     *SchedulePause  `json:"paused,omitempty"`
	Next       *ScheduleTime   `json:"next,omitempty"` // the next due time that is not decided
	Last       *ScheduleRow    `json:"last,omitempty"` // what became of the due time that was decided last
	Missed7d   int64           `json:"missed_7d"`      // due times missed in the last seven days
	OverdueMS  int64           `json:"overdue_ms"`     // for how long the next due time has been due; 0: it is not
	Running    []string        `json:"running"`        // ids of its runs that have not ended, 1,000 at most
	Waiting    int             `json:"waiting"`        // how many due times wait for the end of a run
	Runs       int64           `json:"runs"`           // started by due times since it was created
	Backfill   *ScheduleFill   `json:"backfill,omitempty"`
	CreatedAt  string          `json:"created_at"`
	ChangedAt  string          `json:"changed_at"`
	ChangedBy  string          `json:"changed_by,omitempty"`
	DeletedAt  string          `json:"deleted_at,omitempty"`
}

// Late says that its next due time should have been decided: the disk is full, or the engine does not keep up.
func (s *Schedule) Late() bool { return s.OverdueMS > 500 && s.Paused == nil }

// SchedulePause says since when a schedule is paused.
type SchedulePause struct {
	Since string `json:"since"`
	By    string `json:"by,omitempty"`
	Note  string `json:"note,omitempty"`
}

// ScheduleTime is a due time that is to come.
type ScheduleTime struct {
	NominalAt string `json:"nominal_at"`
	DueAt     string `json:"due_at"` // with the jitter
	Local     string `json:"local"`  // as the clocks of the schedule's zone show it, with the offset
	Excluded  bool   `json:"excluded,omitempty"`
	Skipped   bool   `json:"skipped,omitempty"` // clocks never show it, and the schedule skips such times
	Note      string `json:"note,omitempty"`    // what clocks that jump have to do with it
}

// ScheduleRow is what became of a due time, or of several in a row.
type ScheduleRow struct {
	NominalAt string `json:"nominal_at"`
	Local     string `json:"local"`
	DueAt     string `json:"due_at"`
	DecidedAt string `json:"decided_at"`
	StartedAt string `json:"started_at,omitempty"`
	LagMS     int64  `json:"lag_ms"` // from due to started, or to decided when there is no run
	Outcome   string `json:"outcome"`
	Code      string `json:"code,omitempty"` // of start_failed
	Detail    string `json:"detail,omitempty"`
	RunID     string `json:"run_id,omitempty"`
	Revision  uint32 `json:"revision"`
	By        string `json:"by,omitempty"`
	Note      string `json:"note,omitempty"`
	Count     int64  `json:"count,omitempty"` // of several: how many
	LastAt    string `json:"last_at,omitempty"`
	LastLocal string `json:"last_local,omitempty"`
	TimeZone  string `json:"time_zone"` // of local
}

// ScheduleFill is a backfill that is under way.
type ScheduleFill struct {
	From    string `json:"from"`
	To      string `json:"to"`
	At      string `json:"at"` // how far it has come
	Started int64  `json:"started"`
	Exists  int64  `json:"exists"` // times whose run was there already
	Failed  int64  `json:"failed"`
	By      string `json:"by,omitempty"`
}

// BackfillPlan is what a backfill does, or would do.
type BackfillPlan struct {
	Times  int64          `json:"times"`
	Listed []BackfillTime `json:"listed,omitempty"` // of a dry run: the first 1,000
	State  *Schedule      `json:"schedule,omitempty"`
}

// BackfillTime is a time that a backfill would start.
type BackfillTime struct {
	ScheduleTime
	RunID  string `json:"run_id"`
	Exists bool   `json:"exists,omitempty"` // it has its run
}

// ScheduleReasons says why a schedule does not fire, or did not.
type ScheduleReasons struct {
	Name    string           `json:"name"`
	State   string           `json:"state"`
	Next    *ScheduleTime    `json:"next,omitempty"`
	Reasons []ScheduleReason `json:"reasons"`
}

// ScheduleReason is one of them.
type ScheduleReason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Help   string `json:"help,omitempty"` // the command that would help
}
