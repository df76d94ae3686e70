package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
)

// What is shown of schedules.
type (
	Schedule        = model.Schedule
	ScheduleRow     = model.ScheduleRow
	ScheduleTime    = model.ScheduleTime
	ScheduleReasons = model.ScheduleReasons
	BackfillPlan    = model.BackfillPlan
)

// OwnerAPI owns schedules that were put by people; those of workers belong to "worker:SERVICE".
const OwnerAPI = "api"

// ScheduleOption changes a call about a schedule.
type ScheduleOption func(*scheduleOptions)

type scheduleOptions struct {
	match   *uint32
	note    string
	catchUp bool
	overlap string
	input   json.RawMessage
	dryRun  bool
}

// IfRevision lets a call through only when the schedule has that revision; 0: only when there is no such schedule. Else the call is refused with
// ErrScheduleChanged.
func IfRevision(n uint32) ScheduleOption { return func(o *scheduleOptions) { o.match = &n } }

// WithNote says why, for those who look at the schedule later.
func WithNote(text string) ScheduleOption { return func(o *scheduleOptions) { o.note = text } }

// WithCatchUp makes a resumed schedule start the newest of the times that it missed, as its catch_up allows.
func WithCatchUp() ScheduleOption { return func(o *scheduleOptions) { o.catchUp = true } }

// WithOverlap is what holds for this call while a run of the schedule has not ended: skip, buffer_one, buffer_all, cancel_running or
// allow. A backfill takes buffer_all and allow.
func WithOverlap(policy string) ScheduleOption {
	return func(o *scheduleOptions) { o.overlap = policy }
}

// WithTriggerInput is the input of a run that is triggered, instead of the schedule's.
func WithTriggerInput(input json.RawMessage) ScheduleOption {
	return func(o *scheduleOptions) { o.input = input }
}

// DryRun only says what would be done.
func DryRun() ScheduleOption { return func(o *scheduleOptions) { o.dryRun = true } }

func scheduleOptionsOf(opts []ScheduleOption) (o scheduleOptions, err error) {
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.note) > maxReason {
		return o, badRequest("note: %d bytes, the limit is %d", len(o.note), maxReason)
	}
	return o, nil
}

// change is one change of a schedule, on the loop.
type change func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error)

func (e *Engine) schedule(ctx context.Context, name string, o scheduleOptions, look func(*schedules.State, int64) []string, do change) (*schedules.State, error) {
	if err := validSchedule(name); err != nil {
		return nil, err
	}
	if e.draining.Load() {
		return nil, refusal.ErrClosing
	}
	type answer struct {
		state []byte
		err   error
	}
	checked := func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error) {
		if st != nil && st.Deleted != 0 && o.match == nil {
			return do(st, d, now, start)
		}
		has := uint32(0)
		if st != nil && st.Deleted == 0 {
			has = st.Revision
		}
		if o.match != nil && *o.match != has {
			return nil, "", fmt.Errorf("%w: it has revision %d, not %d", refusal.ErrScheduleChanged, has, *o.match)
		}
		return do(st, d, now, start)
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		return &shard.Schedule{By: byOf(ctx), Name: name, Look: look, Do: checked, Reply: func(state []byte, err error) { done(answer{state, err}) }}
	})
	if err == nil {
		err = a.err
	}
	if err != nil || a.state == nil {
		return nil, ofSchedule(name, err)
	}
	return schedules.Decode(a.state)
}

func validSchedule(name string) error {
	if err := flow.ValidName(name); err != nil {
		return badRequest("schedule: name %v", err)
	}
	if len(name) > schedules.MaxName {
		return badRequest("schedule: name is %d bytes long, the limit is %d", len(name), schedules.MaxName)
	}
	return nil
}

// ofSchedule names the schedule in what refuses a call.
func ofSchedule(name string, err error) error {
	var r *refusal.Refusal
	if errors.As(err, &r) && (r == refusal.ErrScheduleNotFound || r == refusal.ErrScheduleChanged || r == refusal.ErrBackfillRunning) {
		return fmt.Errorf("schedule %q: %w", name, err)
	}
	return err
}

// there lets a change through only for a schedule that exists.
func there(do change) change {
	return func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error) {
		if st == nil || st.Deleted != 0 {
			return nil, "", refusal.ErrScheduleNotFound
		}
		return do(st, d, now, start)
	}
}

// SchedulePut makes a definition the schedule of its name, whoever owned that until now: the schedule belongs to the API then. Times
// before now are never decided again. A definition that it has already changes nothing. The error of a bad one is flow.Problems.
func (e *Engine) SchedulePut(ctx context.Context, d *schedules.Definition, opts ...ScheduleOption) (s Schedule, created bool, err error) {
	o, err := scheduleOptionsOf(opts)
	if err != nil {
		return s, false, err
	}
	if problems := d.Check(); len(problems) > 0 {
		return s, false, problems
	}
	by := byOf(ctx)
	st, err := e.schedule(ctx, d.Name, o, nil, func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		created = st == nil || st.Deleted != 0
		out, changed, err := schedules.Put(st, d, "", by, now)
		what := ""
		if changed {
			what = "put"
		}
		return out, what, err
	})
	if err != nil {
		return s, false, err
	}
	return e.showSchedule(st), created, nil
}

// SchedulePublish is what a worker of a service does with a schedule: it creates one that is missing, and changes one that is the
// service's own. left "": the schedule is as the worker wants it; else it says why it was left as it is. A definition that the schedule
// has had changes nothing when keep is set: workers of an older release do not turn the clock back.
func (e *Engine) SchedulePublish(ctx context.Context, d *schedules.Definition, service string, keep bool) (left string, err error) {
	if problems := d.Check(); len(problems) > 0 {
		return "", problems
	}
	by, owner := byOf(ctx), workerOwner(service)
	_, err = e.schedule(ctx, d.Name, scheduleOptions{}, nil, func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		left = ""
		if why, stands := standing(st, d, owner, keep); stands {
			left = why
			return st, "", nil
		}
		out, _, err := schedules.Put(st, d, owner, by, now)
		return out, "put", err
	})
	return left, err
}

// ScheduleStands says whether SchedulePublish would change nothing.
func (e *Engine) ScheduleStands(d *schedules.Definition, service string, keep bool) (bool, error) {
	st, err := e.scheduleState(d.Name)
	if errors.Is(err, refusal.ErrScheduleNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, stands := standing(st, d, workerOwner(service), keep)
	return stands, nil
}

func workerOwner(service string) string { return "worker:" + service }

// standing says whether a schedule stays as it is when a worker publishes it, and why: "" when it is as the worker wants it.
func standing(st *schedules.State, d *schedules.Definition, owner string, keep bool) (why string, stands bool) {
	switch {
	case st == nil:
		return "", false
	case st.Deleted != 0: // an older worker does not bring back what somebody deleted
		return "it was deleted", st.Knows(d)
	case st.Owner != owner:
		return "it belongs to " + cmp.Or(st.Owner, OwnerAPI), true
	case st.Has(d):
		return "", true
	}
	return "it has a newer definition", keep && st.Knows(d)
}

// ScheduleDelete ends a schedule. Its runs go on, its ledger stays for 90 days.
func (e *Engine) ScheduleDelete(ctx context.Context, name string, opts ...ScheduleOption) error {
	o, err := scheduleOptionsOf(opts)
	if err != nil {
		return err
	}
	by := byOf(ctx)
	_, err = e.schedule(ctx, name, o, nil, there(func(st *schedules.State, d *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		st.Delete(d, by, now)
		return st, "deleted", nil
	}))
	return err
}

// SchedulePause stops a schedule: its due times get rows that say so. Pausing a paused one changes nothing.
func (e *Engine) SchedulePause(ctx context.Context, name string, opts ...ScheduleOption) (Schedule, error) {
	o, err := scheduleOptionsOf(opts)
	if err != nil {
		return Schedule{}, err
	}
	by := byOf(ctx)
	st, err := e.schedule(ctx, name, o, nil, there(func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		if !st.Pause(by, o.note, now) {
			return st, "", nil
		}
		return st, "paused", nil
	}))
	return e.shown(st, err)
}

// ScheduleResume lets a paused schedule go on from now; WithCatchUp makes up for the newest times that the pause took.
func (e *Engine) ScheduleResume(ctx context.Context, name string, opts ...ScheduleOption) (Schedule, error) {
	o, err := scheduleOptionsOf(opts)
	if err != nil {
		return Schedule{}, err
	}
	by := byOf(ctx)
	look := func(st *schedules.State, now int64) []string {
		if !o.catchUp {
			return nil
		}
		return st.ResumeIDs(now)
	}
	st, err := e.schedule(ctx, name, o, look, there(func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error) {
		if !st.Resume(d, by, o.catchUp, now, start) {
			return st, "", nil
		}
		return st, "resumed", nil
	}))
	return e.shown(st, err)
}

func (e *Engine) shown(st *schedules.State, err error) (Schedule, error) {
	if err != nil {
		return Schedule{}, err
	}
	return e.showSchedule(st), nil
}

// ScheduleTrigger starts a run of the schedule now, beside its due times. The row says what became of it: with a run of the schedule
// that has not ended, the overlap policy decides.
func (e *Engine) ScheduleTrigger(ctx context.Context, name string, opts ...ScheduleOption) (ScheduleRow, error) {
	o, err := scheduleOptionsOf(opts)
	switch {
	case err != nil:
		return ScheduleRow{}, err
	case o.overlap != "" && !slices.Contains(schedules.Overlaps, o.overlap):
		return ScheduleRow{}, badRequest("overlap: want one of %s, not %.80q", strings.Join(schedules.Overlaps, ", "), o.overlap)
	case len(o.input) > 0:
		if err := e.checkPayload("input", o.input); err != nil {
			return ScheduleRow{}, err
		}
	}
	id, by := schedules.TriggerID(name, e.NewID()), byOf(ctx)
	var row schedules.Row
	_, err = e.schedule(ctx, name, o, func(*schedules.State, int64) []string { return []string{id} },
		there(func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error) {
			row = st.Trigger(d, id, by, o.overlap, o.input, now, start)
			return st, "", nil
		}))
	return showRow(&row), err
}

// ScheduleBackfill starts a run for each nominal time from one moment up to another that is over, as far as these are decided: a few at
// a time, or one behind the other. At most 10,000 times; one that has its run is left alone.
func (e *Engine) ScheduleBackfill(ctx context.Context, name string, from, to time.Time, opts ...ScheduleOption) (BackfillPlan, error) {
	o, err := scheduleOptionsOf(opts)
	switch {
	case err != nil:
		return BackfillPlan{}, err
	case o.overlap != "" && o.overlap != schedules.BufferAll && o.overlap != schedules.Allow:
		return BackfillPlan{}, badRequest("overlap: a backfill takes buffer_all (one run after the other) or allow (ten at once), not %.80q", o.overlap)
	case to.Before(from):
		return BackfillPlan{}, badRequest("to: %s is before from", to.UTC().Format(time.RFC3339))
	}
	if o.dryRun {
		return e.wouldFill(name, from, to)
	}
	id, by, n := e.NewID(), byOf(ctx), int64(0)
	st, err := e.schedule(ctx, name, o, nil, there(func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		if st.Back != nil {
			return nil, "", refusal.ErrBackfillRunning
		}
		if n = st.Fill(id, by, from.UnixMilli(), to.UnixMilli(), o.overlap == schedules.Allow, now); n > schedules.MaxFill {
			return nil, "", badRequest("from, to: these are %d times, the limit is %d", n, schedules.MaxFill)
		}
		return st, "backfilled", nil
	}))
	if err != nil {
		return BackfillPlan{}, err
	}
	shown := e.showSchedule(st)
	return BackfillPlan{Times: n, State: &shown}, nil
}

// wouldFill says what a backfill would do.
func (e *Engine) wouldFill(name string, from, to time.Time) (BackfillPlan, error) {
	st, err := e.scheduleState(name)
	if err != nil {
		return BackfillPlan{}, err
	}
	if st.Deleted != 0 {
		return BackfillPlan{}, ofSchedule(name, refusal.ErrScheduleNotFound)
	}
	p := BackfillPlan{Listed: []model.BackfillTime{}}
	if p.Times = st.Fill("", "", from.UnixMilli(), to.UnixMilli(), false, e.o.Clock.Now().UnixMilli()); p.Times > schedules.MaxFill {
		return p, badRequest("from, to: these are %d times, the limit is %d", p.Times, schedules.MaxFill)
	}
	if p.Times == 0 {
		return p, nil
	}
	plan := st.Plan()
	for t, ok := plan.Next(st.Back.Cursor); ok && t <= st.Back.To && len(p.Listed) < 1000; t, ok = plan.Next(t) {
		if plan.Excluded(t) {
			continue
		}
		p.Listed = append(p.Listed, model.BackfillTime{ScheduleTime: showTime(plan, t), RunID: schedules.RunID(name, t)})
	}
	var ids []string
	for _, t := range p.Listed {
		ids = append(ids, t.RunID)
	}
	for i, past := range e.reader.Past(ids) {
		_, _, known, err := e.j.Lookup(ids[i])
		if err = cmp.Or(past.Err, err); err != nil {
			return p, err
		}
		p.Listed[i].Exists = known || past.Started
	}
	return p, nil
}

// scheduleState reads a schedule as it stands in the journal.
func (e *Engine) scheduleState(name string) (*schedules.State, error) {
	if err := validSchedule(name); err != nil {
		return nil, err
	}
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return nil, err
	}
	row, ok, err := e.j.Row(shard.ScheduleRows + name)
	if d := (*journal.DamageError)(nil); errors.As(err, &d) {
		return nil, fmt.Errorf("schedule %q: %w, and it does not fire; apply it again (%s)", name, refusal.ErrDamaged, d.Detail)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ofSchedule(name, refusal.ErrScheduleNotFound)
	}
	return schedules.Decode(row)
}

// ScheduleGet gives a schedule as it is.
func (e *Engine) ScheduleGet(ctx context.Context, name string) (Schedule, error) {
	st, err := e.scheduleState(name)
	if err == nil && st.Deleted != 0 {
		err = ofSchedule(name, refusal.ErrScheduleNotFound)
	}
	if err != nil {
		return Schedule{}, err
	}
	return e.showSchedule(st), ctx.Err()
}

// ScheduleList lists schedules by name, those after a name; limit 0: 100. next "": there are no more.
func (e *Engine) ScheduleList(ctx context.Context, after string, limit int) (list []Schedule, next string, err error) {
	if limit <= 0 {
		limit = 100
	}
	list = []Schedule{}
	for key := shard.ScheduleRows + after; ; {
		rows, err := e.j.RowsAfter(shard.ScheduleRows, key, limit+1)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			key = behind(key, row, shard.ScheduleRows)
			st, err := shard.ScheduleOf(row)
			if err == nil && st.Deleted != 0 {
				continue
			}
			if len(list) == limit {
				return list, list[limit-1].Name, ctx.Err()
			}
			if err != nil {
				list = append(list, Schedule{Name: row.Key[len(shard.ScheduleRows):], State: "damaged"})
				continue
			}
			list = append(list, e.showSchedule(st))
		}
		if len(rows) <= limit {
			return list, "", ctx.Err()
		}
	}
}

// LedgerFilter picks rows of a ledger. Zero values pick all.
type LedgerFilter struct {
	Outcome string
	Since   time.Time // nominal times at or after it
	Cursor  string    // the place behind which the list goes on
	Limit   int       // 0: 100
}

// ScheduleLedger gives what became of the due times of a schedule, the newest first, also of one that was deleted. next "": there are
// no more.
func (e *Engine) ScheduleLedger(ctx context.Context, name string, f LedgerFilter) (rows []ScheduleRow, next string, err error) {
	if f.Outcome != "" && !slices.Contains(schedules.Outcomes, schedules.Outcome(f.Outcome)) {
		var known []string
		for _, o := range schedules.Outcomes {
			known = append(known, string(o))
		}
		return nil, "", badRequest("outcome: want one of %s, not %.80q", strings.Join(known, ", "), f.Outcome)
	}
	if _, err := e.scheduleState(name); err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	prefix := shard.LedgerRows(name)
	rows = []ScheduleRow{}
	const page, most = 500, 100_000 // rows that are looked at in one request
	for key, looked := prefix+f.Cursor, 0; ; {
		all, err := e.j.RowsAfter(prefix, key, page)
		if err != nil {
			return nil, "", err
		}
		for _, r := range all {
			row, err := shard.LedgerRow(r)
			if err != nil { // the others say what they say
				e.damaged(journal.Damage{Kind: "row", Detail: err.Error()})
				key = behind(key, r, prefix)
				next = key[len(prefix):]
				continue
			}
			if !f.Since.IsZero() && max(row.Nominal, row.Last) < f.Since.UnixMilli() {
				return rows, "", ctx.Err()
			}
			if f.Outcome == "" || f.Outcome == string(row.Outcome) {
				if len(rows) == f.Limit {
					return rows, next, ctx.Err()
				}
				rows = append(rows, showRow(row))
			}
			key, next = r.Key, r.Key[len(prefix):]
		}
		if looked += len(all); len(all) < page {
			return rows, "", ctx.Err()
		}
		if looked >= most || ctx.Err() != nil {
			return rows, next, ctx.Err()
		}
	}
}

// ScheduleNext gives the next n due times of a schedule that are not decided, excluded ones too.
func (e *Engine) ScheduleNext(ctx context.Context, name string, n int) ([]ScheduleTime, error) {
	st, err := e.scheduleState(name)
	if err == nil && st.Deleted != 0 {
		err = ofSchedule(name, refusal.ErrScheduleNotFound)
	}
	if err != nil {
		return nil, err
	}
	left := n
	if st.Def.MaxRuns > 0 {
		left = int(min(int64(n), max(0, st.Def.MaxRuns-st.Runs)))
	}
	return nextTimes(st.Plan(), st.Cursor, n, left), ctx.Err()
}

// SchedulePreview gives the next n due times that a definition would have from now on.
func (e *Engine) SchedulePreview(ctx context.Context, d *schedules.Definition, n int) ([]ScheduleTime, error) {
	if problems := d.Check(); len(problems) > 0 {
		return nil, problems
	}
	plan, err := schedules.NewPlan(d)
	if err != nil {
		return nil, err
	}
	left := n
	if d.MaxRuns > 0 {
		left = int(min(int64(n), d.MaxRuns))
	}
	return nextTimes(plan, e.o.Clock.Now().UnixMilli(), n, left), ctx.Err()
}

// nextTimes gives n times, of which no more than runs are not excluded. Those that clocks never show stand among them when they are
// skipped.
func nextTimes(plan *schedules.Plan, after int64, n, runs int) []ScheduleTime {
	out := []ScheduleTime{}
	for len(out) < n && runs > 0 {
		t, ok := plan.Next(after)
		until := t
		if !ok {
			return out
		}
		if at, wall, skipped := plan.Skipped(after, until); skipped {
			out = append(out, ScheduleTime{NominalAt: rfc3339.Format(at), DueAt: rfc3339.Format(at), Local: plan.Local(at), Skipped: true,
				Note: wall + " does not exist: clocks go forward, it is skipped"})
		}
		shown := showTime(plan, t)
		if !shown.Excluded {
			runs--
		}
		if after = t; len(out) < n {
			out = append(out, shown)
		}
	}
	return out
}
