package replay

// Program is what decides how a run goes on. Decisions are recorded as events; Apply folds them and asks the Program nothing. What a
// Program must remember between two turns stands in the state, worked out by Apply.
type Program interface {
	// Begin is called when RunStarted is folded.
	Begin(t *Turn)
	// Settled is called when an instance has completed, timed out, been skipped or failed for good.
	Settled(t *Turn, i Instance)
	// Caught is called when the branch of a failed instance has started.
	Caught(t *Turn, i Instance)
	// Freed is called when an operator has fired the timer of that instance.
	Freed(t *Turn, timer Instance)
	// Decide is called when all facts of a turn are folded. It adds what follows from them, until nothing more does.
	Decide(t *Turn)
	// Last is called when the steps that come last begin.
	Last(t *Turn)
	// Reopen lets a failed or cancelled run go on.
	Reopen(t *Turn, reason string)
	// Cancel ends a run that an operator or its parent does not want any more.
	Cancel(t *Turn, reason string)
}

// program gives what decides for a run.
func (s *State) program() Program { return Graph{s.Graph} }
