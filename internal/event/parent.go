package event

import "github.com/agnt5/agnt5d/internal/pack"

// AppendParent appends a parent as it stands in events and in states. nil is an empty array.
func AppendParent(dst []byte, p *Parent) []byte {
	if p == nil {
		return pack.AppendArray(dst, 0)
	}
	n := 7
	if p.Rest {
		n = 8
	}
	dst = pack.AppendArray(dst, n)
	dst = pack.AppendUint(dst, p.Run)
	dst = pack.AppendString(dst, p.ID)
	dst = pack.AppendUint(dst, uint64(uint32(p.Step)))
	dst = pack.AppendString(dst, p.Name)
	dst = pack.AppendUint(dst, uint64(p.Attempt))
	dst = pack.AppendUint(dst, uint64(p.Depth))
	if dst = pack.AppendBool(dst, p.Abandon); p.Rest {
		dst = pack.AppendBool(dst, true)
	}
	return dst
}

// ReadParent reads what AppendParent wrote.
func ReadParent(r *pack.Reader) *Parent {
	n := r.Array()
	if n == 0 {
		return nil
	}
	p := &Parent{Run: r.Uint(), ID: r.String(), Step: int32(r.Uint32()), Name: r.String(), Attempt: r.Uint32(), Depth: r.Uint32(), Abandon: r.Bool()}
	if n > 7 {
		p.Rest = r.Bool()
	}
	return p
}
