package shard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// A hold keeps every run as a pause of its own would: nothing of it is handed out, no child of it starts, and no time of it comes. It is
// the process's: the journal knows nothing of it, so what is written while it is on is what would be written anyway. It begins with the
// shard, and ends when ReleaseAll asks for that, at once or run by run, oldest first. What is overdue comes when its run is released. A run
// that starts, or is retried, once the release has begun is not held: so the release has an end.

// Hold is how it stands.
type Hold struct {
	On        bool
	Since     int64 // Unix ms
	Runs      int   // that are held
	Releasing bool
	Released  int // since the release began
	PerSecond int // 0: as fast as it goes
}

// careful is the same, with what the shard keeps for it.
type careful struct {
	on        bool
	since     int64
	releasing bool
	left      []uint64 // releasing: the runs that are held still, oldest first
	released  int
	perSecond int
	began     int64 // monotonic ms: since when this rate holds
	done      int   // how many were released since then
	last      int64 // monotonic ms: when the last one was released

	dues map[uint64][]timers.Entry // times of held runs that have come, by run
}

// releaseMost is how many runs one turn releases at most.
const releaseMost = 1_000

// isHeld says whether the run is held, whatever its own pause.
func (r *Shard) isHeld(run uint64) bool {
	h := &r.careful
	if !h.on || !h.releasing {
		return h.on
	}
	_, is := slices.BinarySearch(h.left, run)
	return is
}

// HeldBack says why nothing of a run is handed out though it is not paused itself.
func (r *Shard) HeldBack(run uint64) (Hold, bool) {
	if !r.isHeld(run) {
		return Hold{}, false
	}
	return r.Holding(), true
}

// Holding says how the hold stands.
func (r *Shard) Holding() Hold {
	h := &r.careful
	out := Hold{On: h.on, Since: h.since, Releasing: h.releasing, Released: h.released, PerSecond: h.perSecond}
	if out.Runs = len(h.left); h.on && !h.releasing {
		out.Runs = len(r.parked)
		for _, run := range r.runs {
			if run.S.Status.Live() {
				out.Runs++
			}
		}
	}
	return out
}

// ReleaseAll ends the hold, or changes how fast it ends. Without one it changes nothing.
type ReleaseAll struct {
	By, Reason string
	PerSecond  int // 0: as fast as it goes
	Reply      func(Hold, error)
}

func (in *ReleaseAll) refuse(err error) { in.Reply(Hold{}, err) }
func (in *ReleaseAll) asks()            {}

func (in *ReleaseAll) admit(r *Shard) {
	h := &r.careful
	if h.on && (!h.releasing || h.perSecond != in.PerSecond) {
		if r.noRoom(in) {
			return
		}
		what := "every run is resumed"
		if in.PerSecond > 0 {
			what += fmt.Sprintf(", %d a second", in.PerSecond)
		}
		if in.Reason != "" {
			what += ": " + in.Reason
		}
		r.system(event.Event{Kind: event.SettingChanged, Name: "hold", Message: what, By: in.By})
		r.whenDurable(func(err error) { // nothing goes on before the journal says who let it
			if err == nil {
				r.beginRelease(in.PerSecond)
			}
		})
	}
	r.tell(in, func(err error) { in.Reply(r.Holding(), err) })
}

func (r *Shard) beginRelease(perSecond int) {
	h := &r.careful
	if !h.on { // what was asked before is through
		return
	}
	now := r.now.Mono
	if h.releasing { // the next one comes as long after the last one as the new rate wants
		h.perSecond, h.began, h.done = perSecond, max(h.last, now-1000/max(int64(perSecond), 1)), 1
		return
	}
	h.left = slices.Collect(maps.Keys(r.parked))
	for number, run := range r.runs {
		if run.S.Status.Live() {
			h.left = append(h.left, number)
		}
	}
	slices.Sort(h.left)
	h.releasing, h.perSecond, h.began, h.done = true, perSecond, now, 0
}

// nextRelease is when the next run is to be released (monotonic ms); 0: none is.
func (r *Shard) nextRelease() int64 {
	h := &r.careful
	if !h.on || !h.releasing || r.full {
		return 0
	}
	if h.perSecond == 0 {
		return r.now.Mono
	}
	per := int64(h.perSecond)
	return cmp.Or(h.began+(int64(h.done)*1000+per-1)/per, 1)
}

// releaseSome releases the runs whose turn has come.
func (r *Shard) releaseSome() {
	h := &r.careful
	if !h.on || !h.releasing {
		return
	}
	most := releaseMost
	if h.perSecond > 0 {
		owed := int((r.now.Mono-h.began)*int64(h.perSecond)/1000) + 1
		h.done = max(h.done, owed-h.perSecond) // what a process that stood still did not release in time does not come all at once
		most = min(most, owed-h.done)
	}
	for most > 0 && len(h.left) > 0 {
		run := h.left[0]
		h.left = h.left[1:]
		if r.release(run) {
			most--
			h.done++
			h.released++
			h.last = r.now.Mono
		}
	}
	if len(h.left) > 0 {
		return
	}
	for _, dues := range h.dues { // of runs that have ended since
		r.pushBack(dues)
	}
	r.careful = careful{since: h.since, released: h.released}
	if r.cfg.Released != nil {
		r.cfg.Released(h.released)
	}
}

// release lets one run go on, unless it has ended meanwhile.
func (r *Shard) release(number uint64) bool {
	r.pushBack(r.careful.dues[number])
	delete(r.careful.dues, number)
	run := r.runs[number]
	if run == nil { // one that is put away does nothing but wait
		_, away := r.parked[number]
		return away
	}
	if !run.S.Status.Live() {
		return false
	}
	if run.S.Pause == nil {
		r.handOn(run, true)
	}
	return true
}

func (r *Shard) pushBack(dues []timers.Entry) {
	for _, e := range dues {
		r.due.Push(e)
	}
}

// keepDue puts a time aside that has come for a held run.
func (r *Shard) keepDue(e timers.Entry) bool {
	if !r.isHeld(e.Run) {
		return false
	}
	if r.careful.dues == nil {
		r.careful.dues = map[uint64][]timers.Entry{}
	}
	r.careful.dues[e.Run] = append(roomy(r.careful.dues[e.Run], once), e)
	return true
}

// once leaves each time once: a run that is paused and resumed while it is held asks for its times anew.
func once(all []timers.Entry) []timers.Entry {
	slices.SortFunc(all, func(a, b timers.Entry) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Step, b.Step)) })
	return slices.Compact(all)
}

// handOn offers what is ready in a run that is not paused, or not held, any more.
func (r *Shard) handOn(run *Run, careful bool) {
	for i, st := range run.S.All() {
		if st.State == replay.StepScheduled && st.Kind().Children() {
			r.want(run, i)
		} else if st.State == replay.StepScheduled {
			r.b.offers = append(r.b.offers, offer{run: run, step: i, attempt: st.Attempt, careful: careful})
		}
	}
}
