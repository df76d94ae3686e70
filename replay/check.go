package replay

import "fmt"

// Check says which of the rules in the doc of State is broken; nil: none. It may be called between two records.
func (s *State) Check() error {
	if why := s.check(); why != "" {
		return fmt.Errorf("replay: run %q, %s: invariant %s", s.ID, s.Status, why)
	}
	return nil
}

func (s *State) check() string {
	var open, live int32
	var skipped, handled uint32
	var outBytes uint64
	for i, st := range s.All() {
		if i < s.Graph.Main && !s.settled(i) {
			open++
		}
		if st.State.Open() {
			live++
		}
		if st.Caught && i < s.Graph.Main {
			handled++
		}
		if st.State == StepSkipped && int(i) < len(s.Steps) {
			skipped++
		}
		if st.State == StepCompleted && s.sink(i) {
			outBytes += uint64(st.Output.Len)
		}
		if why := s.checkStep(i, st); why != "" {
			return fmt.Sprintf("%s (step %q is %s)", why, s.Name(i), st.State)
		}
	}
	if s.live != live || s.Handled != handled {
		return fmt.Sprintf("1: %d instances are open, want %d; %d failures are caught, want %d", s.live, live, s.Handled, handled)
	}
	if s.Status == Running && s.hopeless() {
		return fmt.Sprintf("2: nothing will catch the failure of step %q", s.Name(s.uncaught()))
	}
	if s.open != open || s.Skipped != skipped || s.outBytes != outBytes {
		return fmt.Sprintf("1: %d steps open, want %d; %d skipped, want %d; %d bytes of output, want %d", s.open, open, s.Skipped, skipped, s.outBytes, outBytes)
	}
	if s.Status == Running && open == 0 && s.asksResult() == AskNothing {
		return "2: every step is settled"
	}
	if why := s.checkEnding(); why != "" {
		return why
	}
	if why := s.checkWaits(); why != "" {
		return why
	}
	if why := s.checkItems(); why != "" {
		return why
	}
	if why := s.checkChildren(); why != "" {
		return why
	}
	seen := map[Instance]bool{}
	for _, o := range s.Outs {
		if st := s.At(o.Step); seen[o.Step] || st == nil && !s.Dropped(o.Step) && !s.takenBack(o.Step) || st != nil && (o.Attempt > st.Attempt || st.State == StepRunning) { // an item that an operator completed is not kept, nor is one of finally that runs anew
			return fmt.Sprintf("7: attempt %d of step %d is out beside another", o.Attempt, o.Step)
		}
		seen[o.Step] = true
	}
	switch {
	case s.Status.Ended() != (s.EndedAt != 0):
		return fmt.Sprintf("8: it ended at %d", s.EndedAt)
	case s.Status == Failed && s.Fault == nil && (s.FailedBy < 0 || s.At(s.FailedBy).State != StepFailed):
		return fmt.Sprintf("8: it failed by step %d", s.FailedBy)
	}
	return ""
}

func (s *State) checkStep(i Instance, st *Step) string {
	if int(i) < len(s.Steps) {
		need := int32(0)
		for _, d := range s.Graph.Needs[i] {
			if !s.settledFor(d, i) {
				need++
			}
		}
		if st.need != need {
			return fmt.Sprintf("1: it needs %d, want %d", st.need, need)
		}
		if v, _ := s.verdict(i); v != leave && v != ask {
			return "2: its turn has come"
		}
	}
	if st.State.Open() && !s.moves(i) && s.Status != Quarantined {
		return "3: an open step"
	}
	keyed := len(s.Keys(i)) > 0 && s.itemsOf(i) == nil // of a step over a list, its items want them
	holds := st.State == StepScheduled || st.State == StepRunning || st.State == StepRetrying || st.State == StepWaiting && st.Kind() == &task
	switch {
	case st.Request != 0 && (!keyed || !holds && st.State != StepBlocked), st.Request == 0 && keyed && (holds || st.State == StepBlocked),
		holds && keyed && st.Fence <= st.Request, !holds && st.Fence != 0:
		return fmt.Sprintf("4: request %d, fence %d", st.Request, st.Fence)
	}
	timed := st.State == StepRetrying || st.State == StepDeferred || st.State == StepWaiting && st.Kind().timed
	if st.Due == 0 && timed || st.Due != 0 && !timed && st.State != StepWaiting && st.State != StepCancelled {
		return fmt.Sprintf("5: its time is %d", st.Due)
	}
	return ""
}

func (s *State) checkWaits() string {
	waits := map[Instance]bool{}
	for _, i := range s.Mail.Waits() {
		if st := s.At(i); waits[i] || st == nil || st.State != StepWaiting {
			return fmt.Sprintf("6: step %q stands in the mailbox twice, or does not wait", s.Name(i))
		}
		waits[i] = true
	}
	for i, st := range s.All() {
		if st.State == StepWaiting && st.Kind().mail && !waits[i] {
			return fmt.Sprintf("6: step %q waits and does not stand in the mailbox", s.Name(i))
		}
	}
	return ""
}
