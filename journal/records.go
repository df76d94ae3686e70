package journal

// FormatVersion is the version of the format of records, and of the file that this release writes. It may change until its first
// release.
const FormatVersion = 0

// Record is all that one turn of one run wrote: facts and the intents that follow from them. Its events have the sequences
// Seq, Seq+1, ... Seq+Count-1; the next record of the log begins at Seq+Count.
type Record struct {
	Seq   uint64 // sequence of the first event; the key in the log
	Count uint32 // number of events, at least 1
	Run   uint64 // the run's number: Seq of its first record. 0: the engine's own record (no run)
	Prev  uint64 // Seq of the run's previous record; 0: this is its first
	N     uint64 // position in the run of the first event, counting from 1
	At    int64  // Unix milliseconds
	Body  []byte // opaque to the journal

	// Left is the run of the record directly before this one in the log, by which the owner of a damaged one is found. A
	// journal may tell it when it reads; who appends leaves it 0.
	Left uint64
}

// Head is what lists and look-ups need to know of a run without reading its records.
type Head struct {
	Run       uint64
	ID        string
	Workflow  string
	Version   uint32
	State     uint8  // the numbers are the caller's; OpenState is the one that means "running"
	LastSeq   uint64 // Seq of the last record that was written when the head was
	Events    uint64 // events in the run then
	CreatedAt int64  // Unix milliseconds
	EndedAt   int64  // 0: open
	Skipped   uint32
	Digest    []byte   // of the state after LastSeq; empty: not taken then
	Failed    string   // why a run failed, for lists; the text is the caller's
	Tags      []string // in ascending order, each once; the texts are the caller's
	Damaged   bool     // it could not be read, and this is what is known of the run otherwise; never written
}

// End is the sequence behind the record.
func (r *Record) End() uint64 { return r.Seq + uint64(r.Count) }

// Last is the position in the run of the record's last event.
func (r *Record) Last() uint64 { return r.N + uint64(r.Count) - 1 }

// The two values of Head.State that the journal knows. OpenState is a run that has not ended. CompletedState is how most
// runs end: lists filtered by it read the heads, where the other states have an index.
const (
	OpenState      = 0
	CompletedState = 1
)

// Object is the durable state of one object key.
type Object struct {
	Key     string
	Version uint64
	Fence   uint64
	Seq     uint64 // of the event that wrote it
	State   []byte // JSON; nil in a Batch: remove the row
	Damaged string // read from a list: what is wrong with it, and nothing else of it is known then
}

// Definition is one version of a workflow. Body is its canonical JSON; Digest is over Body (checked on read).
type Definition struct {
	Name    string
	Version uint32
	Digest  string // "sha256:..." as flow prints it; "": the version was deleted, and its number stays taken. It is current no more, and a body that no version has can go
	Body    []byte // empty in a Batch when the digest is stored already
	At      int64
	Current bool // this version is the name's current one from now on
}

// Snapshot is the encoded state of an open run after its record Seq. In a Batch, a nil State removes it.
type Snapshot struct {
	Run   uint64
	Seq   uint64
	State []byte
}

// Purge removes a finished run: its records, head, index rows and snapshot. Its id stays as a tombstone until Until (0: no
// tombstone). The caller journals, in the same Batch, a record that says what was removed. Entry is that record, if it is to go when
// Until is over (see Batch.Sweep); 0: it stays for ever.
type Purge struct {
	Run   uint64
	Until int64
	Entry uint64
}

// Payload begins the keys of rows whose values are sealed with the payloads, where these are.
const Payload = "schedule/"

// Row is a small durable setting of the layers above (push services, say). A nil Value removes it.
type Row struct {
	Key     string
	Value   []byte
	Damaged string // read: what is wrong with it, and Key may be what is wrong; "": it is whole
}
