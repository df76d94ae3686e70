package journal

// Question is several rows that somebody wants to know at once. Each list holds at most MaxAsked.
type Question struct {
	IDs       []string
	Heads     []uint64 // by run
	Snapshots []uint64 // by run
	Objects   []string // by key
}

// MaxAsked bounds each list of a Question.
const MaxAsked = 1_000

// Answer has a row for each one that was asked for, in the same order.
type Answer struct {
	IDs       []Found[ID]
	Heads     []Found[Head]
	Snapshots []Found[Snapshot]
	Objects   []Found[Object]
}

// ID is whose an id is. That of a deleted run has no run, and a time until which it is kept, in Unix milliseconds.
type ID struct {
	Run   uint64
	Until int64
}

// Found is a row if there is one, or why it could not be read.
type Found[T any] struct {
	Row T
	OK  bool
	Err error
}

// Asker is a Log that answers a question in one round trip. All rows of an answer may be of different moments, none older than
// the question.
type Asker interface {
	Ask(*Question) *Answer
}

// Reads reads one row at a time. Every Log does.
type Reads interface {
	Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error)
	Head(run uint64) (Head, bool, error)
	Snapshot(run uint64) (Snapshot, bool, error)
	Object(key string) (Object, bool, error)
}

// Near is a Log of which one row is read in microseconds: who asks may wait for the answer.
type Near interface {
	Near() bool
}

// Ask asks j: in one round trip if it is an Asker, row by row if not.
func Ask(j Reads, q *Question) *Answer {
	if j, ok := j.(Asker); ok {
		return j.Ask(q)
	}
	return AskEach(j, q)
}

// AskEach asks row by row.
func AskEach(j Reads, q *Question) *Answer {
	return &Answer{
		IDs: each(q.IDs, func(id string) (ID, bool, error) {
			run, until, ok, err := j.Lookup(id)
			return ID{run, until}, ok, err
		}),
		Heads: each(q.Heads, j.Head), Snapshots: each(q.Snapshots, j.Snapshot), Objects: each(q.Objects, j.Object),
	}
}

func each[K, T any](keys []K, read func(K) (T, bool, error)) []Found[T] {
	if len(keys) == 0 {
		return nil
	}
	rows := make([]Found[T], len(keys))
	for i, k := range keys {
		rows[i].Row, rows[i].OK, rows[i].Err = read(k)
	}
	return rows
}
