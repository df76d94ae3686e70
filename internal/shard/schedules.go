package shard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/heap"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/schedules"
)

// Rows of the journal. A schedule stands under its name; what became of its due times under its name and the row's key. Both are
// written with the runs that follow from them, in one batch.
const (
	ScheduleRows = journal.Payload
	ledgerRows   = "schedule-ledger/"
)

// LedgerRows is the prefix of the keys of a schedule's ledger.
func LedgerRows(name string) string { return ledgerRows + name + "/" }

// BySchedule is who starts the runs of a schedule when nobody asked for them by hand. No access token has such a name.
func BySchedule(name string) string { return "schedule/" + name }

// scheduled is a schedule in memory. It lies there as the journal has it, and is decoded when something is to be done.
type scheduled struct {
	name   string
	row    []byte
	due    int64  // when something is to be done; 0: never
	change uint64 // how often it was changed since the start
	queued int64  // its newest place in the queue; 0: it has none
	atOnce bool   // it was due when it was planned
	asked  bool   // it is due, and an input is under way that says what becomes of it

	hot *schedules.State // decoded, and perhaps changed, in this turn
}

type scheduleDue struct {
	due int64
	s   *scheduled
}

func (d scheduleDue) Before(o scheduleDue) bool {
	return d.due < o.due || d.due == o.due && d.s.name < o.s.name
}

// scheduleBook is the schedules of the shard.
type scheduleBook struct {
	all   map[string]*scheduled
	queue []scheduleDue         // a heap; places that are not a schedule's due are passed over
	open  map[string]*scheduled // by the ids of their open runs
	hot   []*scheduled          // that are decoded
	asked map[*scheduled]int64  // those that are asked, and since when they are due
	up    int64                 // since when (Unix ms) somebody has been there to decide
	seen  int64                 // when (Unix ms) it was looked last
}

// lateAfter is how late (ms) the shard may look without that its schedules count as missed.
const lateAfter = 10_000

// ScheduleOf reads the row of a schedule.
func ScheduleOf(row journal.Row) (*schedules.State, error) {
	if row.Damaged != "" {
		return nil, fmt.Errorf("its row is damaged: %s", row.Damaged)
	}
	return schedules.Decode(row.Value)
}

// LedgerRow reads a row of a ledger.
func LedgerRow(row journal.Row) (*schedules.Row, error) {
	r, err := &schedules.Row{}, error(nil)
	if row.Damaged != "" {
		err = errors.New(row.Damaged)
	} else {
		err = json.Unmarshal(row.Value, r)
	}
	if err != nil {
		return nil, fmt.Errorf("the row %q of a ledger cannot be read: %w", row.Key, err)
	}
	return r, nil
}

// readSchedules reads them from the journal. A run that has ended since is no longer open.
func (r *Shard) readSchedules() error {
	r.agenda = scheduleBook{up: r.now.Wall, seen: r.now.Wall}
	rows, err := r.j.Rows(ScheduleRows)
	if err != nil || len(rows) == 0 {
		return err
	}
	a := &r.agenda
	a.all, a.open = make(map[string]*scheduled, len(rows)), map[string]*scheduled{}
	var open []string
	for _, row := range rows {
		name := row.Key[len(ScheduleRows):]
		st, err := ScheduleOf(row)
		if err != nil {
			r.damaged(journal.Damage{Kind: "row", Detail: fmt.Sprintf("the schedule %q cannot be read, so it does not fire; apply it again: %v", name, err)})
			continue
		}
		s := &scheduled{name: name, row: row.Value}
		a.all[name] = s
		for _, o := range st.Open {
			a.open[o.ID] = s
			open = append(open, o.ID)
		}
		r.plan(s, st)
	}
	slices.Sort(open)
	for i, found := range ask(open, func(part []string) []journal.Found[journal.ID] {
		return journal.Ask(r.j, &journal.Question{IDs: part}).IDs
	}) {
		if found.Err == nil && !(found.OK && found.Row.Until == 0 && r.inBooks(found.Row.Run)) {
			r.scheduleRunEnded(open[i], false)
		}
	}
	for _, s := range a.hot { // the journal hears of it with the next change
		r.cool(s)
	}
	a.hot = nil
	return nil
}

// inBooks says whether a run has not ended, as far as memory knows.
func (r *Shard) inBooks(number uint64) bool {
	if run := r.runs[number]; run != nil {
		return !run.S.Status.Ended()
	}
	_, parked := r.parked[number]
	return parked || r.newer[number] != nil
}

// warm gives the state of a schedule, to be read, or changed and marked.
func (r *Shard) warm(s *scheduled) *schedules.State {
	if s.hot == nil {
		st, err := schedules.Decode(s.row)
		if err != nil { // it was read before
			r.fail(fmt.Errorf("shard: schedule %q: %w", s.name, err))
			return &schedules.State{Deleted: 1}
		}
		s.hot = st
		r.agenda.hot = append(r.agenda.hot, s)
	}
	return s.hot
}

// cool encodes the state again.
func (r *Shard) cool(s *scheduled) {
	st := s.hot
	s.hot, s.row = nil, st.Encode()
	r.plan(s, st)
}

// plan puts a schedule into the queue.
func (r *Shard) plan(s *scheduled, st *schedules.State) {
	at, ok := st.Wake(r.now.Wall)
	if !ok {
		s.due = 0
		return
	}
	s.due, s.atOnce = max(at, 1), at <= r.now.Wall
	r.agenda.push(s)
}

func (a *scheduleBook) push(s *scheduled) {
	if s.due != 0 && s.due != s.queued {
		s.queued = s.due
		a.queue = heap.Push(a.queue, scheduleDue{s.due, s})
	}
}

func (a *scheduleBook) pop() (d scheduleDue) {
	a.queue, d = heap.Pop(a.queue)
	if d.s.queued == d.due {
		d.s.queued = 0
	}
	return d
}

// wentBack lets what was to be done at once be done now, when the clock was put back since: not when it is there again.
func (a *scheduleBook) wentBack(now int64) {
	if now >= a.seen {
		return
	}
	for _, d := range slices.Clone(a.queue) {
		if s := d.s; s.atOnce && s.due == d.due && s.due > now {
			s.due = now
			a.push(s)
		}
	}
}

// answer takes back that a schedule is asked.
func (a *scheduleBook) answer(s *scheduled) {
	s.asked = false
	delete(a.asked, s)
}

// writeSchedules puts those that were changed in the turn into its batch.
func (r *Shard) writeSchedules() {
	for _, s := range r.agenda.hot {
		before := s.row
		if r.cool(s); r.agenda.all[s.name] == s && string(before) != string(s.row) {
			s.change++
			r.b.Rows = append(r.b.Rows, journal.Row{Key: ScheduleRows + s.name, Value: s.row})
		}
	}
	clear(r.agenda.hot)
	r.agenda.hot = r.agenda.hot[:0]
}

// nextSchedule is when the next one is due; 0: none is.
func (r *Shard) nextSchedule() int64 {
	a := &r.agenda
	for len(a.queue) > 0 {
		if d := a.queue[0]; d.s.due == d.due && !d.s.asked && a.all[d.s.name] == d.s {
			return d.due
		}
		a.pop()
	}
	return 0
}

// comeScheduled gives the inputs that decide what has come due, up to DueLimit.
func (r *Shard) comeScheduled() (inputs []Input) {
	a := &r.agenda
	a.wentBack(r.now.Wall)
	last := a.seen
	a.seen = r.now.Wall
	due := r.nextSchedule()
	if r.now.Wall-last > lateAfter && (len(a.asked) > 0 || due != 0 && due < r.now.Wall-lateAfter) { // the machine slept, or its clock was put forward
		a.up = r.now.Wall
	}
	for ; due != 0 && due <= r.now.Wall && len(inputs) < DueLimit; due = r.nextSchedule() {
		d := a.pop()
		if d.s.asked = true; a.asked == nil {
			a.asked = map[*scheduled]int64{}
		}
		a.asked[d.s] = d.due
		inputs = append(inputs, &decide{s: d.s})
	}
	return inputs
}

// decide says what becomes of the due times of a schedule that have come.
type decide struct {
	s       *scheduled
	now, up int64
	change  uint64
	told    bool // now, up and change are those of the last look
	ids     []string
	again   []string // those of ids whose times may have had their run
}

func (in *decide) needs(r *Shard) bool {
	if r.agenda.all[in.s.name] != in.s {
		return true
	}
	st := state(in.s)
	if st == nil {
		return true
	}
	if !in.told || in.change != in.s.change {
		in.now, in.up, in.change, in.told = r.now.Wall, r.agenda.up, in.s.change, true
		in.ids, in.again = st.IDs(in.now, in.up), st.FillIDs()
	}
	return r.needStarts(st, in.ids, in.again)
}

// state is that of a schedule outside of a turn; nil: it cannot be read.
func state(s *scheduled) *schedules.State {
	st, err := schedules.Decode(s.row)
	if err != nil {
		return nil
	}
	return st
}

// needStarts says whether what starts of the schedule, and cancellations of its open runs, look at is there.
func (r *Shard) needStarts(st *schedules.State, ids, again []string) bool {
	all := true
	for _, id := range again {
		all = r.needPast(id) && all
	}
	for _, id := range ids { // what is missing is asked for together
		all = r.needID(id) && all
	}
	for _, o := range st.Open {
		all = r.needID(o.ID) && all
	}
	if v, ok := (&Start{Workflow: st.Def.Workflow, Version: st.Def.Version}).pick(r); ok {
		all = r.needDef(v.Digest) && all
	}
	return all
}

func (in *decide) admit(r *Shard) {
	s := in.s
	r.agenda.answer(s)
	if r.agenda.all[s.name] != s {
		return
	}
	if !in.told || in.change != s.change || s.hot != nil { // it has changed meanwhile: ask again for what it needs now
		r.agenda.push(s)
		return
	}
	st := r.warm(s)
	d := st.Decide(in.now, in.up, r.starter(s, st))
	r.decided(s, st, &d)
}

// starter starts runs of a schedule. Their ids were asked for.
func (r *Shard) starter(s *scheduled, st *schedules.State) schedules.Starter {
	return func(start *schedules.Start) *schedules.Fault {
		if fault := r.idFree(start, s, st.Def.Workflow); fault != nil {
			return fault
		}
		if start.Ask {
			return nil
		}
		in := &Start{By: cmp.Or(start.By, BySchedule(s.name)), ID: start.ID, Workflow: st.Def.Workflow, Version: st.Def.Version, Input: start.Input, Tags: archive.TagsOf(st.Def.Tags)}
		if len(in.Input) == 0 {
			in.Input = []byte("null")
		}
		v, there := in.pick(r)
		if !there {
			text := fmt.Sprintf("there is no workflow %q", in.Workflow)
			if in.Version != 0 && r.flows[in.Workflow] != nil {
				text = fmt.Sprintf("the workflow %q has no version %d", in.Workflow, in.Version)
			}
			return &schedules.Fault{Code: schedules.FailedNoWorkflow, Detail: text}
		}
		def, err := r.Def(v.Digest)
		if err != nil {
			return &schedules.Fault{Code: schedules.FailedDefinition, Detail: err.Error()}
		}
		v.started++
		in.version = *v
		run := &Run{S: replay.New(def.Graph), def: def}
		r.ids[start.ID] = run
		r.agenda.open[start.ID] = s
		r.give(run, scheduledStart{in})
		return nil
	}
}

// idFree says whether a run can have the id.
func (r *Shard) idFree(start *schedules.Start, s *scheduled, workflow string) *schedules.Fault {
	if start.Again && r.hadRun(start.ID) {
		return &schedules.Fault{Code: schedules.FailedIDTaken, Detail: "the time has had its run", Exists: true}
	}
	run, err := r.find(start.ID)
	ours := false
	switch {
	case r.agenda.open[start.ID] == s: // perhaps it begins in this very turn
		ours = true
	case run != nil:
		ours = run.S.Workflow == workflow
	case err == refusal.ErrRunNotFound:
		return nil
	case err == errNotRead:
		r.fail(fmt.Errorf("shard: schedule: %q: %w", start.ID, err))
	default:
		if row, ok := r.needs.ids.row(start.ID); ok {
			ours = row.head.Workflow == workflow
		}
	}
	return &schedules.Fault{Code: schedules.FailedIDTaken, Detail: fmt.Sprintf("the id %s is that of a run that was started otherwise", start.ID), Exists: start.Again && ours}
}

type scheduledStart struct{ in *Start }

func (f scheduledStart) fold(_ *Shard, _ *Run, t *replay.Turn) {
	t.By = f.in.By
	t.StartAt(f.in.ID, f.in.Workflow, f.in.version.Version, f.in.Input, "", 0, f.in.Tags)
}

type scheduledCancel struct{ by, reason string }

func (f scheduledCancel) fold(_ *Shard, run *Run, t *replay.Turn) {
	t.By = f.by
	if !run.S.Status.Ended() {
		t.Decide()
	}
	if s := run.S.Status; !s.Ended() && s != replay.Finishing {
		t.Cancel(f.reason)
	}
}

// decided writes what was decided, and lets follow what does.
func (r *Shard) decided(s *scheduled, st *schedules.State, d *schedules.Decision) {
	prefix := LedgerRows(s.name)
	for _, key := range d.Drop {
		r.b.Rows = append(r.b.Rows, journal.Row{Key: prefix + key})
	}
	for i := range d.Rows {
		row := &d.Rows[i]
		value, err := json.Marshal(row)
		if err != nil {
			r.fail(err)
			return
		}
		r.b.Rows = append(r.b.Rows, journal.Row{Key: prefix + row.Key(), Value: value})
		r.system(event.Event{Kind: event.ScheduleDecided, Name: s.name, Version: row.Revision, Due: row.Nominal, Code: string(row.Outcome), ID: row.Run,
			Message: row.Detail, By: row.By, Time: row.Last, Ref: uint64(row.Count)})
	}
	for o, n := range d.Of {
		*r.meters.schedules.Of(ScheduleKey{s.name, string(o)}) += uint64(n)
	}
	for _, id := range d.Cancel {
		if run, err := r.find(id); run != nil && err == nil && !run.S.Status.Ended() {
			r.give(run, scheduledCancel{BySchedule(s.name), "the next run of its schedule is due"})
		} else if err == refusal.ErrRunNotFound || err == ErrAway || errors.Is(err, refusal.ErrRunExpired) {
			r.scheduleRunEnded(id, false)
		}
	}
}

// scheduleRunEnded tells a schedule that a run of it has ended.
func (r *Shard) scheduleRunEnded(id string, completed bool) {
	s := r.agenda.open[id]
	if s == nil {
		return
	}
	delete(r.agenda.open, id)
	r.warm(s).RunEnded(id, completed)
}

// scheduleRunReopened tells a schedule that a run of it goes on.
func (r *Shard) scheduleRunReopened(run *Run) {
	name, nominal, ok := schedules.NameOf(run.S.ID)
	if !ok {
		return
	}
	if s := r.agenda.all[name]; s != nil && r.agenda.open[run.S.ID] == nil {
		if st := r.warm(s); st.Deleted == 0 && st.Def.Workflow == run.S.Workflow {
			st.Open = append(slices.Clone(st.Open), schedules.Open{ID: run.S.ID, Nominal: nominal})
			r.agenda.open[run.S.ID] = s
		}
	}
}

// Schedule asks for something of one schedule. Look gives the ids of runs that Do may start, Do changes the state: st is nil when there
// is no such schedule, and what it gives is the state from then on. Both may be called again.
type Schedule struct {
	By   string
	Name string
	Look func(st *schedules.State, now int64) []string
	Do   func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error)
	// Reply gets the state as it is then, encoded; nil: there is none.
	Reply func(state []byte, err error)

	now, up int64
	change  uint64
}

func (in *Schedule) refuse(err error) { in.Reply(nil, err) }
func (in *Schedule) about() subject   { return subject{id: ScheduleRows + in.Name} }

func (in *Schedule) needs(r *Shard) bool {
	s := r.agenda.all[in.Name]
	in.now, in.up = r.now.Wall, r.agenda.up
	if s == nil {
		in.change = 0
		return true
	}
	in.change = s.change
	st := state(s)
	if st == nil {
		return true
	}
	ids, again := st.IDs(in.now, in.up), st.FillIDs()
	if in.Look != nil {
		look := in.Look(st, in.now)
		ids, again = append(ids, look...), append(again, look...)
	}
	return r.needStarts(st, ids, again)
}

// admit decides first what has come due until now: it belongs to the schedule as it was.
func (in *Schedule) admit(r *Shard) {
	a := &r.agenda
	s := a.all[in.Name]
	if s != nil && (in.change != s.change || s.hot != nil) { // it has changed meanwhile
		r.ready = append(r.ready, in)
		r.needs.given = true
		return
	}
	var st *schedules.State
	start := func(*schedules.Start) *schedules.Fault { return nil }
	if s != nil {
		st = r.warm(s)
		start = r.starter(s, st)
		d := st.Decide(in.now, in.up, start)
		r.decided(s, st, &d)
	}
	var d schedules.Decision
	out, what, err := in.Do(st, &d, in.now, start)
	switch {
	case err != nil:
		r.b.then = append(r.b.then, func(bad error) { in.Reply(nil, cmp.Or(bad, err)) })
		return
	case out == nil:
		r.b.then = append(r.b.then, func(bad error) { in.Reply(nil, bad) })
		return
	case s == nil:
		s = &scheduled{name: strings.Clone(in.Name)} // it is part of the text that was sent, which would stay
		if a.all == nil {
			a.all, a.open = map[string]*scheduled{}, map[string]*scheduled{}
		}
		a.all[s.name] = s
		a.hot = append(a.hot, s)
	}
	s.hot = out
	if what != "" {
		r.system(event.Event{Kind: event.ScheduleChanged, Name: in.Name, Version: out.Revision, Code: what, Payload: out.Def.JSON(), By: in.By})
	}
	r.decided(s, out, &d)
	if out.Deleted != 0 {
		for id, of := range a.open {
			if of == s {
				delete(a.open, id)
			}
		}
	}
	r.b.then = append(r.b.then, func(bad error) {
		if bad != nil {
			in.Reply(nil, bad)
			return
		}
		in.Reply(s.row, nil)
	})
}

// Overdue is for how long (ms) the oldest due time that is not decided has been due.
func (r *Shard) Overdue() int64 {
	oldest := r.nextSchedule()
	for _, due := range r.agenda.asked {
		if oldest == 0 || due < oldest {
			oldest = due
		}
	}
	if oldest == 0 {
		return 0
	}
	return max(0, r.now.Wall-oldest)
}

// ForgetRows removes rows of a schedule's ledger, and with Schedule the schedule, which was deleted. State is the schedule as it was when the
// rows were read: when it is another one since, they may be others, too, and nothing is removed.
type ForgetRows struct {
	Name     string
	State    []byte
	Keys     []string // of the journal
	Schedule bool
	Reply    func(error)
}

func (in *ForgetRows) refuse(err error) { in.Reply(err) }
func (in *ForgetRows) about() subject   { return subject{id: ScheduleRows + in.Name} }

func (in *ForgetRows) admit(r *Shard) {
	s := r.agenda.all[in.Name]
	if s == nil || s.hot != nil || string(s.row) != string(in.State) {
		r.b.then = append(r.b.then, in.Reply)
		return
	}
	for _, key := range in.Keys {
		r.b.Rows = append(r.b.Rows, journal.Row{Key: key})
	}
	if in.Schedule {
		r.b.Rows = append(r.b.Rows, journal.Row{Key: ScheduleRows + in.Name})
		delete(r.agenda.all, in.Name)
	}
	r.b.then = append(r.b.then, in.Reply)
}
