package schedules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Bounds of what is decided at once, and of what waits.
const (
	looked     = 10_000 // due times that are looked at; more are counted
	foldOver   = 100    // rows of one outcome in a row that stand alone
	maxBuffer  = 100
	maxOpen    = 1000
	backfillAt = 10  // runs of a backfill that are open at once, when they may overlap
	atOnce     = 100 // times of a backfill that one decision looks at
	MaxFill    = 10_000
	maxFolds   = maxCatchUp/foldOver + 1 // of a pause: more than hold what can be made up for
)

// Start is a run that is to be started.
type Start struct {
	ID      string
	Nominal int64
	Due     int64
	Again   bool   // the time may have had its run, which may be deleted since
	Ask     bool   // nothing is started: it is only asked whether the time has its run
	By      string // who asked for it by hand; "": the clock
	Input   json.RawMessage
}

// Fault says why a run cannot be started; Exists: the schedule has started it before, and its row stays as it is.
type Fault struct {
	Code, Detail string
	Exists       bool
}

// Starter starts a run, or says why it cannot be.
type Starter func(*Start) *Fault

// Decision is what follows for the world. Rows replace those with their keys; Drop are keys of rows that others stand for.
type Decision struct {
	Rows   []Row
	Drop   []string
	Cancel []string          // ids of runs
	Of     map[Outcome]int64 // how many due times have got which outcome
}

func (d *Decision) count(o Outcome, n int64) {
	if d.Of == nil {
		d.Of = map[Outcome]int64{}
	}
	d.Of[o] += n
}

// IDs gives the ids of the runs that Decide may want to start at that moment.
func (s *State) IDs(now, up int64) (ids []string) {
	for i := range s.Buffer {
		ids = append(ids, s.Buffer[i].Row.Run)
	}
	ids = append(ids, s.FillIDs()...)
	if s.Paused == nil {
		p := s.pending(now)
		late, _ := s.late(p.times, now, up)
		for _, t := range p.times {
			if (s.plan.Due(t) >= up || late[t]) && !s.plan.Excluded(t) {
				ids = append(ids, RunID(s.Def.Name, t))
			}
		}
	}
	return ids
}

// FillIDs gives those of IDs that are of a backfill: their times may have had their runs.
func (s *State) FillIDs() (ids []string) {
	if s.room() || s.Back != nil && s.releases() { // what is released may fail to start, and leaves room then
		for _, t := range s.backTimes() {
			ids = append(ids, RunID(s.Def.Name, t))
		}
	}
	return ids
}

// Decide says what becomes of the due times that have come, of what waits, and of a backfill. up is the moment since which somebody has
// been there to decide: what was due before it is late. It changes the state.
func (s *State) Decide(now, up int64, start Starter) Decision {
	var d Decision
	if s.Deleted != 0 {
		return d
	}
	s.release(&d, now, start)
	s.due(&d, now, up, start)
	s.backfill(&d, now, start)
	return d
}

// pending is the due times that have come. Those before the ones that are listed are only counted.
type pending struct {
	times       []int64
	from        int64 // behind which the others are; 0: there are no others
	first, last int64 // the first and the last of the others
}

func (s *State) pending(now int64) (p pending) {
	if s.left() == 0 {
		return p
	}
	from := s.Cursor
	p.times = s.come(from, now)
	if len(p.times) <= looked {
		return p
	}
	// Too many: the newest of them are looked at, and those before are counted.
	span := int64(1000)
	for 2*span < now-from {
		if n, _ := s.plan.Count(now-2*span, now); n > looked/2 {
			break
		}
		span *= 2
	}
	p.first = p.times[0]
	p.times = s.come(now-span, now)
	p.from, p.last = from, now-span
	if last, ok := s.lastBefore(now - span); ok {
		p.last = last
	}
	return p
}

// lastBefore gives the last nominal time up to a moment.
func (s *State) lastBefore(at int64) (last int64, ok bool) {
	for back := int64(60_000); back < longest*10; back *= 4 {
		for t, there := s.plan.Next(at - back); there && t <= at; t, there = s.plan.Next(t) {
			last, ok = t, true
		}
		if ok {
			return last, true
		}
	}
	return 0, false
}

// come gives up to looked + 1 nominal times after a moment that are due.
func (s *State) come(from, now int64) (times []int64) {
	for t, ok := s.plan.Next(from); ok && len(times) <= looked && s.plan.Due(t) <= now; t, ok = s.plan.Next(t) {
		times = append(times, t)
	}
	return times
}

// late gives those of the late times that are made up for, and says why a time is not.
func (s *State) late(times []int64, now, up int64) (made map[int64]bool, why func(due int64) string) {
	c := s.Def.catchUp()
	made = map[int64]bool{}
	for _, t := range slices.Backward(times) {
		due := s.plan.Due(t)
		if due >= up || s.plan.Excluded(t) {
			continue
		}
		if int64(len(made)) >= c.Max || now-due > c.WindowMS {
			break
		}
		made[t] = true
	}
	return made, func(due int64) string {
		if now-due > c.WindowMS {
			return fmt.Sprintf("older than the catch-up window of %s", time.Duration(c.WindowMS)*time.Millisecond)
		}
		return fmt.Sprintf("over max %d of catch_up", c.Max)
	}
}

// due decides the due times that have come.
func (s *State) due(d *Decision, now, up int64, start Starter) {
	p := s.pending(now)
	if p.from != 0 {
		o := Missed
		detail := "more than can be made up for"
		if s.Paused != nil {
			o, detail = PausedThen, ""
		}
		s.several(d, p, o, detail, now)
	}
	made, why := s.late(p.times, now, up)
	var chosen []int64
	var behind []Row // need no run, and come behind one that does
	for _, t := range p.times {
		due := s.plan.Due(t)
		row := s.row(t, due, now)
		switch {
		case s.plan.Excluded(t):
			row.Outcome = Excluded
		case s.Paused != nil:
			row.Outcome = PausedThen
		case due < up && !made[t]:
			row.Outcome, row.Detail = Missed, why(due)
		default:
			chosen = append(chosen, t)
			continue
		}
		if len(chosen) > 0 {
			behind = append(behind, row)
			continue
		}
		s.Cursor = t
		s.add(d, row)
	}
	s.rest(d, s.choose(d, chosen, now, up, start), behind)
	if n := len(p.times); n > 0 {
		s.Cursor = max(s.Cursor, p.times[n-1])
	}
}

// choose decides times that are to have runs. missed are the rows of those that have none because the schedule has had its last one.
func (s *State) choose(d *Decision, chosen []int64, now, up int64, start Starter) (missed []Row) {
	if s.Def.overlap() == Skip { // one of them can run: the newest of those that are made up for
		n := 0
		for n < len(chosen) && s.plan.Due(chosen[n]) < up {
			n++
		}
		slices.Reverse(chosen[:n])
	}
	for _, t := range chosen {
		if s.left() == 0 && t > s.LastRun { // it had ended before
			break
		}
		row, as := s.row(t, s.plan.Due(t), now), Fired
		if s.left() == 0 {
			row.Outcome, row.Detail = Missed, fmt.Sprintf("over max_runs %d", s.Def.MaxRuns)
			missed = append(missed, row)
			continue
		}
		if row.Due < up {
			as = CaughtUp
		}
		row.Run = RunID(s.Def.Name, t)
		s.begin(d, row, as, s.Def.overlap(), nil, now, start)
	}
	return missed
}

// rest puts rows that need no run into the ledger, behind the first time that has a row of its own: those between two such times may
// become one. When the schedule has had its last run, it has ended, and what comes behind that has no row.
func (s *State) rest(d *Decision, missed, behind []Row) {
	if len(missed)+len(behind) == 0 {
		return
	}
	var own []int64
	for i := range d.Rows {
		if d.Rows[i].Count == 0 && d.Rows[i].Hand == "" {
			own = append(own, d.Rows[i].Nominal)
		}
	}
	slices.Sort(own)
	all := append(missed, behind...)
	slices.SortFunc(all, func(a, b Row) int { return cmp.Compare(a.Nominal, b.Nominal) })
	for _, row := range all {
		if s.left() == 0 && row.Nominal > s.LastRun {
			return
		}
		for len(own) > 0 && own[0] < row.Nominal {
			s.cut()
			own = own[1:]
		}
		s.Cursor = max(s.Cursor, row.Nominal)
		s.add(d, row)
	}
}

// row is that of a nominal time, without its outcome.
func (s *State) row(nominal, due, now int64) Row {
	return Row{Nominal: nominal, Due: due, Decided: now, Revision: s.Revision, Local: s.plan.Local(nominal), Note: s.plan.Note(nominal), Zone: s.Def.TimeZone}
}

// several decides those that are only counted.
func (s *State) several(d *Decision, p pending, o Outcome, detail string, now int64) {
	before, without := s.plan.Count(p.from, p.last)
	add := func(o Outcome, n int64, detail string) {
		if n == 0 {
			return
		}
		row := s.row(p.first, s.plan.Due(p.first), now)
		row.Outcome, row.Count, row.Last, row.LastText, row.Detail = o, n, p.last, s.plan.Local(p.last), detail
		if o == Excluded && before > n { // beside the other one, under a key of its own
			row.Nominal++
		}
		d.Rows = append(d.Rows, row)
		d.count(o, n)
		s.Last = &row
	}
	add(Excluded, without, "")
	add(o, before-without, detail)
	if o == Missed {
		s.missed(now, before-without)
	}
	s.Fold = nil
	if s.Paused != nil {
		pause := *s.Paused
		pause.Counted, pause.Folds = p.last, nil
		s.Paused = &pause
	}
	s.Cursor = p.last
}

// add puts a row into the ledger that needs no run. Many of one outcome in a row become one.
func (s *State) add(d *Decision, row Row) {
	d.count(row.Outcome, 1)
	if row.Outcome == Missed {
		s.missed(row.Decided, 1)
	}
	if row.Outcome != Missed && row.Outcome != PausedThen && row.Outcome != Excluded {
		s.cut()
		s.put(d, row)
		return
	}
	if s.Fold == nil || s.Fold.Outcome != row.Outcome {
		s.cut()
		s.Fold = &Fold{Outcome: row.Outcome, First: row.Nominal}
	}
	f := *s.Fold
	s.Fold = &f
	f.Count, f.Last = f.Count+1, row.Nominal
	if f.Count <= foldOver {
		f.Times = append(slices.Clone(f.Times), row.Nominal)
		s.put(d, row)
		return
	}
	one := row
	one.Nominal, one.Last, one.Count = f.First, row.Nominal, f.Count
	one.Local, one.LastText, one.Note = s.plan.Local(f.First), row.Local, ""
	one.Due = s.plan.Due(f.First)
	if n := len(d.Rows); n > 0 && len(f.Times) == 0 && d.Rows[n-1].Key() == one.Key() {
		d.Rows = d.Rows[:n-1]
	}
	s.stand(d, f.Times)
	f.Times = nil
	s.put(d, one)
}

// cut ends the fold: what comes behind it does not stand in one row with it. A paused one is kept, for a resumption that makes up for
// some of its times.
func (s *State) cut() {
	if f := s.Fold; f != nil && f.Outcome == PausedThen && len(f.Times) == 0 && s.Paused != nil {
		pause := *s.Paused
		pause.Folds = append(slices.Clone(pause.Folds), *f)
		if n := len(pause.Folds); n > maxFolds {
			pause.Folds = pause.Folds[n-maxFolds:]
		}
		s.Paused = &pause
	}
	s.Fold = nil
}

// stand takes the rows of times away for which another one stands from now on.
func (s *State) stand(d *Decision, times []int64) {
	if len(times) == 0 {
		return
	}
	gone := map[string]bool{}
	for _, t := range times {
		gone[rowKey(t, s.Revision, "d")] = true
	}
	d.Rows = slices.DeleteFunc(d.Rows, func(r Row) bool { return gone[r.Key()] })
	for key := range gone {
		d.Drop = append(d.Drop, key)
	}
	slices.Sort(d.Drop)
}

func (s *State) put(d *Decision, row Row) {
	d.Rows = append(d.Rows, row)
	s.Last = &row
}

// begin starts the run of a row, or says why not, as the overlap policy has it.
func (s *State) begin(d *Decision, row Row, as Outcome, policy string, input json.RawMessage, now int64, start Starter) Row {
	if row.Hand == "" {
		s.cut()
	}
	if policy == Allow || len(s.Open) == 0 && len(s.Buffer) == 0 {
		return s.run(d, row, as, "", input, now, start)
	}
	who := "a run that waits"
	if len(s.Open) > 0 {
		who = s.Open[0].ID
	}
	switch {
	case policy == BufferAll && len(s.Buffer) < maxBuffer, policy == BufferOne && len(s.Buffer) == 0:
		row.Outcome, row.Detail = Waits, fmt.Sprintf("waits until %s has ended", who)
	case policy == CancelRunning:
		for i := range s.Buffer {
			old := s.Buffer[i].Row
			old.Outcome, old.Detail, old.Run = SkippedOverlap, fmt.Sprintf("%s was due before it could start", row.Run), ""
			s.final(d, old)
		}
		s.Buffer = nil
		s.Open = slices.Clone(s.Open)
		for i := range s.Open {
			if !s.Open[i].Cancelled {
				s.Open[i].Cancelled = true
				d.Cancel = append(d.Cancel, s.Open[i].ID)
			}
		}
		row.Outcome, row.Detail = Waits, fmt.Sprintf("waits until %s, which is cancelled, has ended", who)
	default:
		row.Outcome, row.Detail, row.Run = SkippedOverlap, fmt.Sprintf("%s has not ended", who), ""
		if len(s.Buffer) > 0 {
			row.Detail += fmt.Sprintf(", and %d wait already", len(s.Buffer))
		}
		s.final(d, row)
		return row
	}
	s.Buffer = append(slices.Clone(s.Buffer), Buffer{Row: row, As: as, Input: input})
	if as == Fired || as == CaughtUp {
		s.taken(row.Nominal)
	}
	d.count(Waits, 1)
	s.put(d, row)
	return row
}

// taken counts a due time that has a run, or waits for one.
func (s *State) taken(nominal int64) {
	s.Runs++
	s.LastRun = max(s.LastRun, nominal)
}

// final puts a row with an outcome that stays.
func (s *State) final(d *Decision, row Row) {
	d.count(row.Outcome, 1)
	s.put(d, row)
}

// run starts the run of a row.
func (s *State) run(d *Decision, row Row, as Outcome, detail string, input json.RawMessage, now int64, start Starter) Row {
	if input == nil {
		input = s.input(&row)
	}
	fault := start(&Start{ID: row.Run, Nominal: row.Nominal, Due: row.Due, Input: input, By: row.By})
	if fault != nil {
		row.Outcome, row.Code, row.Detail, row.Run = StartFailed, fault.Code, fault.Detail, ""
		s.final(d, row)
		return row
	}
	row.Outcome, row.Started, row.Detail = as, now, detail
	switch {
	case as == Backfilled:
		s.LastRun = max(s.LastRun, row.Nominal)
	case detail == "" && as != Triggered: // else it was counted when it began to wait
		s.taken(row.Nominal)
	}
	if len(s.Open) < maxOpen {
		s.Open = append(slices.Clone(s.Open), Open{ID: row.Run, Nominal: row.Nominal, Back: as == Backfilled})
	}
	s.final(d, row)
	return row
}

// release starts what has waited for the end of a run.
func (s *State) release(d *Decision, now int64, start Starter) {
	for s.releases() {
		b := s.Buffer[0]
		s.Buffer = slices.Clone(s.Buffer[1:])
		waited := time.Duration(max(now-b.Row.Decided, 0)) * time.Millisecond
		s.run(d, b.Row, b.As, fmt.Sprintf("it waited %s for the run before it", waited), b.Input, now, start)
	}
}

// releases says whether what waits can start.
func (s *State) releases() bool { return len(s.Buffer) > 0 && len(s.Open) == 0 }

// room says whether a backfill can go on.
func (s *State) room() bool {
	if s.Back == nil {
		return false
	}
	if !s.Back.Allow {
		return len(s.Open) == 0 && len(s.Buffer) == 0
	}
	n := 0
	for _, o := range s.Open {
		if o.Back {
			n++
		}
	}
	return n < backfillAt
}

// backTimes gives the next times of the backfill.
func (s *State) backTimes() (times []int64) {
	for t, ok := s.plan.Next(s.Back.Cursor); ok && t <= s.Back.To && len(times) < atOnce; t, ok = s.plan.Next(t) {
		times = append(times, t)
	}
	return times
}

// again is a Starter of a time that may have its run: exists says so then.
func again(start Starter, exists *bool) Starter {
	return func(st *Start) *Fault {
		st.Again = true
		fault := start(st)
		*exists = fault != nil && fault.Exists
		return fault
	}
}

// forgetLast takes back a start that failed because the time has its run.
func (d *Decision) forgetLast() {
	d.Rows = d.Rows[:len(d.Rows)-1]
	d.Of[StartFailed]--
}

// backfill goes on with what was asked for times that are over.
func (s *State) backfill(d *Decision, now int64, start Starter) {
	if !s.room() {
		return
	}
	b := *s.Back
	s.Back = &b
	times := s.backTimes()
	for _, t := range times {
		if !s.room() {
			return
		}
		b.Cursor = t
		if s.plan.Excluded(t) {
			continue
		}
		row := s.row(t, s.plan.Due(t), now)
		row.Run, row.By = RunID(s.Def.Name, t), b.By
		if slices.ContainsFunc(s.Buffer, func(w Buffer) bool { return w.Row.Run == row.Run }) { // it waits for its start
			b.Exists++
			continue
		}
		s.cut() // its row is not one of those for which another one may stand later
		exists := false
		row = s.run(d, row, Backfilled, "", nil, now, again(start, &exists))
		switch {
		case exists: // its row says what became of it
			d.forgetLast()
			b.Exists++
		case row.Outcome == StartFailed:
			b.Failed++
		default:
			b.Started++
		}
	}
	if len(times) < atOnce {
		s.Back = nil
	}
}

// Fill begins a backfill of the times from one moment up to another; only those that are decided. n is how many there are.
func (s *State) Fill(id, by string, from, to int64, allow bool, now int64) (n int64) {
	to = min(to, now)
	if next, _, ok := s.Next(); ok {
		to = min(to, next-1)
	}
	all, without := s.plan.Count(from-1, to)
	if n = all - without; n > 0 && n <= MaxFill {
		s.Back = &Backfill{ID: id, From: from, To: to, Allow: allow, By: by, At: now, Cursor: from - 1}
	}
	return n
}

// Trigger starts a run by hand, beside the due times. overlap "": as the schedule has it.
func (s *State) Trigger(d *Decision, id, by, overlap string, input json.RawMessage, now int64, start Starter) Row {
	if overlap == "" {
		overlap = s.Def.overlap()
	}
	row := Row{Nominal: now, Hand: id, Due: now, Decided: now, Revision: s.Revision, By: by, Run: id, Local: s.plan.Local(now), Zone: s.Def.TimeZone}
	return s.begin(d, row, Triggered, overlap, input, now, start)
}

// Pause stops the schedule: its due times get rows that say so.
func (s *State) Pause(by, note string, now int64) (changed bool) {
	if s.Paused != nil {
		return false
	}
	s.Paused = &Pause{By: by, At: now, Note: note, Cursor: s.Cursor}
	s.Changed, s.By = now, by
	return true
}

// made gives the times since the pause that a resumed schedule makes up for, ascending.
func (s *State) made(now int64) (times []int64) {
	c := s.Def.catchUp()
	if s.Paused == nil || c.Max == 0 || s.Cursor > now { // the clock stands before what is decided
		return nil
	}
	from := max(s.Paused.Cursor, s.Paused.Counted, now-c.WindowMS-1)
	until := now
	if next, _, ok := s.Next(); ok {
		until = min(until, max(next-1, s.Cursor))
	}
	for span := until - from; span > 1000; span /= 2 { // no more than needed is looked at
		if n, without := s.plan.Count(until-span/2, until); n-without < c.Max {
			from = until - span
			break
		}
		from = until - span/2
	}
	for t, ok := s.plan.Next(from); ok && t <= until; t, ok = s.plan.Next(t) {
		if !s.plan.Excluded(t) {
			times = append(times, t)
		}
	}
	return times[max(0, len(times)-int(c.Max)):]
}

// ResumeIDs gives the ids of the runs that Resume may want to start, when what has come is decided first.
func (s *State) ResumeIDs(now int64) (ids []string) {
	if s.Paused == nil {
		return nil
	}
	then := *s
	then.due(&Decision{}, now, now, nil) // a paused schedule starts nothing
	for _, t := range then.made(now) {
		ids = append(ids, RunID(s.Def.Name, t))
	}
	return ids
}

// Resume lets a paused schedule go on: from now, or with those of its missed times that its catch_up allows.
func (s *State) Resume(d *Decision, by string, catchUp bool, now int64, start Starter) (changed bool) {
	if s.Paused == nil {
		return false
	}
	s.due(d, now, now, start) // what has come since belongs to the pause
	var times []int64
	if catchUp {
		times = s.made(now)
		times = times[max(0, len(times)-int(min(s.left(), maxCatchUp))):]
	}
	s.cut()
	folds := s.Paused.Folds
	s.Paused = nil
	s.Changed, s.By = now, by
	for _, f := range folds {
		s.unfold(d, &f, times, now)
	}
	if s.Def.overlap() == Skip {
		slices.Reverse(times)
	}
	for _, t := range times {
		row := s.row(t, s.plan.Due(t), now)
		row.Run = RunID(s.Def.Name, t)
		if fault := start(&Start{ID: row.Run, Again: true, Ask: true}); fault != nil && fault.Exists { // it was backfilled: its row says so
			continue
		}
		s.begin(d, row, CaughtUp, s.Def.overlap(), nil, now, start)
	}
	return true
}

// unfold takes times, ascending, out of the row that stands for those of a fold: each gets a row of its own. They are its last ones.
func (s *State) unfold(d *Decision, f *Fold, times []int64, now int64) {
	var first, n int64
	for _, t := range times {
		if t >= f.First && (t <= f.Last || f.Last == 0) {
			if n++; n == 1 {
				first = t
			}
		}
	}
	if n == 0 {
		return
	}
	row := s.row(f.First, s.plan.Due(f.First), now)
	row.Outcome, row.Count = PausedThen, f.Count
	key := row.Key()
	d.Rows = slices.DeleteFunc(d.Rows, func(r Row) bool { return r.Key() == key })
	if row.Count -= n; row.Count <= 0 {
		d.Drop = append(d.Drop, key)
		return
	}
	row.Last, _ = s.lastBefore(first - 1)
	row.LastText = s.plan.Local(row.Last)
	d.Rows = append(d.Rows, row)
}

// Delete ends the schedule. What waits is not started.
func (s *State) Delete(d *Decision, by string, now int64) {
	for i := range s.Buffer {
		row := s.Buffer[i].Row
		row.Outcome, row.Detail, row.Run = SkippedOverlap, "the schedule was deleted while it waited", ""
		s.final(d, row)
	}
	s.Buffer, s.Open, s.Back, s.Paused, s.Fold = nil, nil, nil, nil, nil
	s.Deleted, s.Changed, s.By = now, now, by
}
