package replay

// Owed is what somebody must still do about the newest attempt of an instance. It is read off the state, so a start knows it, too.
// What a run is owed besides are its Dues, the answers of its Outs, and the keys of each Request.
type Owed uint8

const (
	OwedNothing Owed = iota
	OwedOffer        // the attempt must be offered to workers
	OwedAnswer       // a worker has it, and must answer or be given up
	OwedEnd          // as OwedAnswer, but nobody waits for the answer; until it comes the attempt holds its keys
)

// Owed says what is owed to the instance.
func (s *State) Owed(i Instance) Owed {
	running := s.At(i).State == StepRunning
	switch {
	case s.Status.Live() && running:
		return OwedAnswer
	case s.Status.Live() && s.At(i).State == StepScheduled && !s.At(i).Kind().children: // who starts a child is asked, see AskChild
		return OwedOffer
	case s.Status == Quarantined && running:
		return OwedEnd
	}
	return OwedNothing
}
