package journal

// MaxSaid is how many bytes are kept of what one attempt wrote to its log: the last ones.
const MaxSaid = 64 << 10

// maxSeal is what may stand around a text that is sealed, in bytes.
const maxSeal = 1 << 10

// Said is a piece of what an attempt wrote to its log, at most MaxSaid bytes. It is no fact: nothing is decided by it, and a journal
// may lose it with a batch that was not committed. It goes with its run. The same At of the same attempt again replaces the piece.
type Said struct {
	Run     uint64
	Step    string
	Attempt uint32
	At      uint64 // how many bytes the attempt had written before it
	Text    []byte
}

// SaidMark is an attempt's place among those of a run: by step, then by number.
type SaidMark struct {
	Step    string
	Attempt uint32
}
