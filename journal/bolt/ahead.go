package bolt

// aheadBytes is how much is filled ahead at a time, in a journal that is not small.
const aheadBytes = 4 << 20

var zeros [256 << 10]byte

// fillAhead fills pages ahead of the log with zeros, when the commit at hand may need more than is filled: a commit that
// writes where bytes stand already need not wait for the file system to find room for them. That there is no space is for
// the commit to say, which may get by without.
func (j *Journal) fillAhead(used, need int64) {
	if j.opts.AheadBytes < 0 || used+need < j.filled {
		return
	}
	end := used + need + j.piece(used)
	_ = j.fillTo(used, end-end%int64(len(zeros)))
}

// piece is how much is filled ahead at a time.
func (j *Journal) piece(used int64) int64 {
	if j.opts.AheadBytes != 0 {
		return max(0, int64(j.opts.AheadBytes))
	}
	return min(aheadBytes, max(used, 256<<10)) // a small journal stays small
}

// fillTo writes zeros up to end, so that the bytes take their place on the disk. used is where bbolt's pages end: nothing
// before it is overwritten. How long the file is says nothing, for bbolt makes it longer by a hole.
func (j *Journal) fillTo(used, end int64) error {
	j.filled = max(j.filled, used)
	for j.filled < end {
		n, err := j.file().WriteAt(zeros[:min(int64(len(zeros)), end-j.filled)], j.filled)
		j.filled += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
