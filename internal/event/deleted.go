package event

import "github.com/agnt5/agnt5d/internal/pack"

// Deleted is a run that a RunsDeleted says was removed.
type Deleted struct {
	Run    uint64
	ID     string
	Last   uint64 // sequence of its last record
	Events uint64 // that it had
}

// AppendDeleted appends the payload of a RunsDeleted: an array of [run, id, last, events].
func AppendDeleted(dst []byte, runs ...Deleted) []byte {
	dst = pack.AppendArray(dst, len(runs))
	for _, d := range runs {
		dst = pack.AppendArray(dst, 4)
		dst = pack.AppendUint(dst, d.Run)
		dst = pack.AppendString(dst, d.ID)
		dst = pack.AppendUint(dst, d.Last)
		dst = pack.AppendUint(dst, d.Events)
	}
	return dst
}

// ReadDeleted gives the runs of a RunsDeleted's payload, as far as it can be read.
func ReadDeleted(payload []byte) []Deleted {
	var out []Deleted
	r := pack.NewReader(payload)
	for n := r.Array(); n > 0 && r.Array() == 4; n-- {
		d := Deleted{Run: r.Uint(), ID: r.String(), Last: r.Uint(), Events: r.Uint()}
		if r.Err() != nil {
			break
		}
		out = append(out, d)
	}
	return out
}
