package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
)

func showTime(plan *schedules.Plan, t int64) ScheduleTime {
	return ScheduleTime{NominalAt: rfc3339.Format(t), DueAt: rfc3339.Format(plan.Due(t)), Local: plan.Local(t), Excluded: plan.Excluded(t), Note: plan.Note(t)}
}

func showRow(row *schedules.Row) ScheduleRow {
	out := ScheduleRow{NominalAt: rfc3339.Format(row.Nominal), Local: row.Local, DueAt: rfc3339.Format(row.Due), DecidedAt: rfc3339.Format(row.Decided),
		Outcome: string(row.Outcome), Code: row.Code, Detail: row.Detail, RunID: row.Run, Revision: row.Revision, By: row.By, Note: row.Note, Count: row.Count, LastLocal: row.LastText, TimeZone: cmp.Or(row.Zone, "UTC")}
	last := row.Decided
	if row.Started != 0 {
		out.StartedAt, last = rfc3339.Format(row.Started), row.Started
	}
	out.LagMS = max(0, last-row.Due)
	if row.Last != 0 {
		out.LastAt = rfc3339.Format(row.Last)
	}
	return out
}

// showSchedule is what is shown of a state.
func (e *Engine) showSchedule(st *schedules.State) Schedule {
	now := e.o.Clock.Now().UnixMilli()
	def := st.Def.Filled()
	paused := st.Paused != nil
	def.Paused = &paused
	body, err := json.Marshal(def)
	if err != nil {
		body = st.Def.JSON()
	}
	s := Schedule{Name: st.Def.Name, State: "active", Revision: st.Revision, Owner: OwnerAPI, Definition: body, Missed7d: st.MissedSince(now), Running: []string{},
		Waiting: len(st.Buffer), Runs: st.Runs, CreatedAt: rfc3339.Format(st.Created), ChangedAt: rfc3339.Format(st.Changed), ChangedBy: st.By}
	if st.Owner != "" {
		s.Owner = st.Owner
	}
	for _, o := range st.Open {
		s.Running = append(s.Running, o.ID)
	}
	if st.Last != nil {
		row := showRow(st.Last)
		s.Last = &row
	}
	if b := st.Back; b != nil {
		s.Backfill = &model.ScheduleFill{From: rfc3339.Format(b.From), To: rfc3339.Format(b.To), At: rfc3339.Format(b.Cursor), Started: b.Started, Exists: b.Exists, Failed: b.Failed, By: b.By}
	}
	if nominal, due, ok := st.Next(); ok {
		t := showTime(st.Plan(), nominal)
		s.Next, s.OverdueMS = &t, max(0, now-due)
	} else {
		s.State = "ended"
	}
	if p := st.Paused; p != nil {
		s.State, s.Paused = "paused", &model.SchedulePause{Since: rfc3339.Format(p.At), By: p.By, Note: p.Note}
	}
	if st.Deleted != 0 {
		s.State, s.DeletedAt = "deleted", rfc3339.Format(st.Deleted)
	}
	return s
}

// ScheduleExplain says why a schedule does not fire, or did not the last time.
func (e *Engine) ScheduleExplain(ctx context.Context, name string) (ScheduleReasons, error) {
	st, err := e.scheduleState(name)
	if err != nil {
		return ScheduleReasons{}, err
	}
	s := e.showSchedule(st)
	out := ScheduleReasons{Name: s.Name, State: s.State, Next: s.Next, Reasons: []model.ScheduleReason{}}
	add := func(code, help, format string, args ...any) {
		out.Reasons = append(out.Reasons, model.ScheduleReason{Code: code, Detail: fmt.Sprintf(format, args...), Help: help})
	}
	if st.Deleted != 0 {
		add("deleted", "", "it was deleted at %s by %s; its ledger is kept for a while", s.DeletedAt, s.ChangedBy)
		return out, ctx.Err()
	}
	if p := s.Paused; p != nil {
		why := ""
		if p.Note != "" {
			why = ": " + p.Note
		}
		add("paused", "agnt5d schedules resume "+name, "it is paused since %s by %s%s", p.Since, p.By, why)
	}
	if why, ended := st.Ended(); ended {
		add("ended", "", "it has ended: %s", why)
	}
	_, err = e.version(st.Def.Workflow, st.Def.Version)
	switch {
	case errors.Is(err, ErrWorkflowNotFound) && st.Def.Version != 0:
		add("workflow_not_found", "agnt5d workflows", "there is no version %d of the workflow %q", st.Def.Version, st.Def.Workflow)
	case errors.Is(err, ErrWorkflowNotFound):
		add("workflow_not_found", "agnt5d register "+st.Def.Workflow+" FILE", "there is no workflow %q", st.Def.Workflow)
	case err != nil:
		return out, err
	}
	if s.Late() {
		add("overdue", "", "its due time %s is over since %s and not decided: the disk is full, or the engine does not keep up", s.Next.Local, time.Duration(s.OverdueMS)*time.Millisecond)
	}
	if s.Next != nil && s.Next.Excluded {
		add("excluded", "", "its next time, %s, is excluded", s.Next.Local)
	}
	if len(s.Running) > 0 && st.Def.Overlap != schedules.Allow {
		add("waits_for_run", "agnt5d explain "+s.Running[0], "its run %s has not ended: with overlap %s the next due time waits for that, or is skipped", s.Running[0], st.Def.Filled().Overlap)
	}
	if now := e.o.Clock.Now().UnixMilli(); st.Cursor > now+24*3600_000 {
		add("clock", "agnt5d schedules apply FILE", "its due times up to %s are decided: the clock stood there. A changed definition begins anew from now", rfc3339.Format(st.Cursor))
	}
	if l := s.Last; l != nil && !slices.Contains([]schedules.Outcome{schedules.Fired, schedules.CaughtUp, schedules.Triggered, schedules.Backfilled}, schedules.Outcome(l.Outcome)) {
		detail := l.Detail
		if detail != "" {
			detail = ": " + detail
		}
		add("last_"+l.Outcome, "agnt5d schedules ledger "+name, "its last due time was %s, and no run has been started for it: %s%s", l.Local, l.Outcome, detail)
	}
	return out, ctx.Err()
}
