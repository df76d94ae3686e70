package bolt

// aheadBytes is how much is filled ahead at a time.
const aheadBytes = 4 << 20

var zeros [256 << 10]byte

// fillAhead fills pages ahead of the log with zeros, when the commit at hand may need more than the file has: a commit that
// writes where bytes stand already need not wait for the file system to find room for them. That there is no space is for
// the commit to say, which may get by without.
func (j *Journal) fillAhead(need int64) {
	piece := int64(j.opts.AheadBytes)
	switch {
	case piece < 0 || need < j.fileSize:
		return
	case piece == 0:
		piece = min(aheadBytes, max(j.fileSize, 256<<10)) // a small journal stays small
	}
	info, err := j.file.Stat() // bbolt may have made it longer: what it has written there must not be overwritten
	if err != nil {
		return
	}
	j.fileSize = max(j.fileSize, info.Size())
	if need < j.fileSize {
		return
	}
	end := need + piece
	_ = j.fillTo(end - end%int64(len(zeros)))
}

// fillTo makes the file at least so long, by zeros that take their place on the disk.
func (j *Journal) fillTo(end int64) error {
	for j.fileSize < end {
		n, err := j.file.WriteAt(zeros[:min(int64(len(zeros)), end-j.fileSize)], j.fileSize)
		j.fileSize += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
