package replay

import "github.com/agnt5/agnt5d/signals"

// keepSignal keeps a small payload beside its arrival until a wait takes it.
func (s *State) keepSignal(seq uint64, b []byte) {
	p := keep(seq, b)
	if p.Data == nil {
		return
	}
	if s.arrived == nil {
		s.arrived = map[uint64][]byte{}
	}
	s.arrived[seq] = p.Data
}

// signalPayload is the payload of an arrival that a wait takes now.
func (s *State) signalPayload(a signals.Arrival) Payload {
	p := Payload{Seq: a.Seq, Len: a.Size, Data: s.arrived[a.Seq]}
	delete(s.arrived, a.Seq)
	return p
}
