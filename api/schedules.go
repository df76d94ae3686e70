package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/cursor"
	"github.com/agnt5/agnt5d/schedules"
)

var nextParams = []param{{"n", "times", "how many times"}}

func outcomeNames() (names []string) {
	for _, o := range schedules.Outcomes {
		names = append(names, string(o))
	}
	return names
}

type scheduleList struct {
	Schedules  []engine.Schedule `json:"schedules"`
	NextCursor string            `json:"next_cursor,omitempty"` // absent: there are no more
}

type scheduleTimes struct {
	Times []engine.ScheduleTime `json:"times"`
}

type scheduleLedger struct {
	Rows       []engine.ScheduleRow `json:"rows"`
	NextCursor string               `json:"next_cursor,omitempty"` // absent: there are no more
}

type pauseBody struct {
	Note string `json:"note"`
}

type resumeBody struct {
	Note    string `json:"note"`
	CatchUp bool   `json:"catch_up"` // start the newest of the times that the pause took, as the schedule's catch_up allows
}

type triggerBody struct {
	Input   json.RawMessage `json:"input"` // absent: the schedule's
	Overlap string          `json:"overlap"`
}

type backfillBody struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Overlap string `json:"overlap"`
	DryRun  bool   `json:"dry_run"` // only say what would be done
}

// revisionOf reads If-Match and If-None-Match.
func revisionOf(r *http.Request) ([]engine.ScheduleOption, error) {
	if given := r.Header.Get("If-Match"); given != "" {
		n, err := strconv.ParseUint(strings.Trim(strings.TrimPrefix(given, "W/"), `"`), 10, 32)
		if err != nil || n == 0 {
			return nil, problem("invalid_request", "If-Match: "+quote(given)+", want a revision, a number of 1 or more")
		}
		return []engine.ScheduleOption{engine.IfRevision(uint32(n))}, nil
	}
	switch given := r.Header.Get("If-None-Match"); given {
	case "":
		return nil, nil
	case "*":
		return []engine.ScheduleOption{engine.IfRevision(0)}, nil
	default:
		return nil, problem("invalid_request", "If-None-Match: "+quote(given)+", want *: only when there is no such schedule")
	}
}

func (s *Server) replySchedule(w http.ResponseWriter, status int, sc engine.Schedule, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+strconv.FormatUint(uint64(sc.Revision), 10)+`"`)
	return s.reply(w, status, sc)
}

func (s *Server) putSchedule(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	d, problems := schedules.ReadNamed(body(r), name)
	if len(problems) > 0 {
		return problems
	}
	opts, err := revisionOf(r)
	if err != nil {
		return err
	}
	got, created, err := s.eng.SchedulePut(r.Context(), d, opts...)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.replySchedule(w, status, got, err)
}

func (s *Server) getSchedule(w http.ResponseWriter, r *http.Request) error {
	got, err := s.eng.ScheduleGet(r.Context(), r.PathValue("name"))
	return s.replySchedule(w, http.StatusOK, got, err)
}

func (s *Server) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	opts, err := revisionOf(r)
	if err == nil {
		err = s.eng.ScheduleDelete(r.Context(), r.PathValue("name"), opts...)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listSchedules(w http.ResponseWriter, r *http.Request) error {
	after, err := placeIn(r, cursor.Schedules)
	if err != nil {
		return err
	}
	list, next, err := s.eng.ScheduleList(r.Context(), after, number(r.URL.Query().Get("limit"), defaultPage))
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, scheduleList{list, cursorOf(cursor.Schedules, next)})
}

func (s *Server) previewSchedule(w http.ResponseWriter, r *http.Request) error {
	d, problems := schedules.ReadNamed(body(r), "")
	if len(problems) > 0 {
		return problems
	}
	times, err := s.eng.SchedulePreview(r.Context(), d, number(r.URL.Query().Get("n"), 20))
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, scheduleTimes{times})
}

func (s *Server) nextTimes(w http.ResponseWriter, r *http.Request) error {
	times, err := s.eng.ScheduleNext(r.Context(), r.PathValue("name"), number(r.URL.Query().Get("n"), 20))
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, scheduleTimes{times})
}

func (s *Server) pauseSchedule(w http.ResponseWriter, r *http.Request) error {
	var in pauseBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	got, err := s.eng.SchedulePause(r.Context(), r.PathValue("name"), engine.WithNote(in.Note))
	return s.replySchedule(w, http.StatusOK, got, err)
}

func (s *Server) resumeSchedule(w http.ResponseWriter, r *http.Request) error {
	var in resumeBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	opts := []engine.ScheduleOption{engine.WithNote(in.Note)}
	if in.CatchUp {
		opts = append(opts, engine.WithCatchUp())
	}
	got, err := s.eng.ScheduleResume(r.Context(), r.PathValue("name"), opts...)
	return s.replySchedule(w, http.StatusOK, got, err)
}

func (s *Server) triggerSchedule(w http.ResponseWriter, r *http.Request) error {
	var in triggerBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	row, err := s.eng.ScheduleTrigger(r.Context(), r.PathValue("name"), engine.WithOverlap(in.Overlap), engine.WithTriggerInput(in.Input))
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, row)
}

func (s *Server) backfillSchedule(w http.ResponseWriter, r *http.Request) error {
	var in backfillBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	var at [2]time.Time
	for i, given := range [][2]string{{"from", in.From}, {"to", in.To}} {
		var err error
		if at[i], err = time.Parse(time.RFC3339, given[1]); err != nil {
			return problem("invalid_request", given[0]+": "+quote(given[1])+" is not a time like "+kinds["date-time"].Example)
		}
	}
	opts := []engine.ScheduleOption{engine.WithOverlap(in.Overlap)}
	if in.DryRun {
		opts = append(opts, engine.DryRun())
	}
	plan, err := s.eng.ScheduleBackfill(r.Context(), r.PathValue("name"), at[0], at[1], opts...)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, plan)
}

func (s *Server) scheduleLedger(w http.ResponseWriter, r *http.Request) error {
	get := r.URL.Query().Get
	f := engine.LedgerFilter{Outcome: get("outcome"), Limit: number(get("limit"), defaultPage)}
	f.Since, _ = time.Parse(time.RFC3339, get("since")) // it was checked; without it: the zero time
	var err error
	if f.Cursor, err = placeIn(r, cursor.Ledger); err != nil {
		return err
	}
	rows, next, err := s.eng.ScheduleLedger(r.Context(), r.PathValue("name"), f)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, scheduleLedger{rows, cursorOf(cursor.Ledger, next)})
}

func (s *Server) explainSchedule(w http.ResponseWriter, r *http.Request) error {
	got, err := s.eng.ScheduleExplain(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, got)
}
