package bolt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// startRows are the rows of the bucket meta without which no journal opens.
var startRows = [][]byte{formatKey, secretKey, tailKey}

func damagedStart(path, detail string) error {
	return &FileError{Path: path, Kind: ErrStartRows, Reason: detail + " (run \"agnt5d doctor\")"}
}

// Mended says what Mend made up.
type Mended struct {
	Damages []journal.Damage // a damage for each row that was not whole
	Renewed bool             // there is a new secret: lease tokens and cursors from before are void
}

// Mend writes a copy of the journal at path, which no engine may have open, to a file temp, in which the rows are whole without which no
// journal opens: its format is taken for this release's, the end of its log is found from what is in the file, and with either of secret and
// end it gets a new secret, because events behind the end that was found may have been seen. The copy opens, and may be as damaged as
// the journal in all else: it is for Repair. The journal is not changed. The error is ErrDamagedFile when more than these rows stands in the way.
func Mend(path, temp string) (m Mended, err error) {
	if err := copyWhole(path, temp); err != nil {
		return m, err
	}
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoSync: true, Timeout: time.Second})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	defer guard(&err)()
	return m, db.Update(m.put)
}

// copyWhole copies a journal of which the pages hold together.
func copyWhole(path, temp string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := share(f, path, time.Second); err != nil {
		return err
	}
	m, err := openPages(f, path)
	if err != nil {
		return err
	}
	if err := errors.Join(m.walkRoot(), m.walk()); err != nil {
		return damagedFile(path, err)
	}
	if err := roomFor(temp, uint64(m.size)+spareRoom); err != nil {
		return err
	}
	to, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(f, 0, m.size))
	return errors.Join(err, to.Close())
}

// put makes the bucket meta anew: damaged keys would stand in the way of others.
func (m *Mended) put(tx *bbolt.Tx) error {
	whole := map[string][]byte{}
	metaBucket.walk(tx, func(k, p []byte, err error) {
		if err == nil {
			whole[string(k)] = slices.Clone(p)
		}
	})
	for _, key := range startRows {
		if why := startRow(key, whole[string(key)]); why != "" {
			m.Damages = append(m.Damages, journal.Damage{Kind: "start", Detail: fmt.Sprintf("the row %q: %s", key, why)})
			delete(whole, string(key))
		}
	}
	if whole[string(formatKey)] == nil {
		whole[string(formatKey)] = binary.BigEndian.AppendUint32([]byte(formatMagic), journal.FormatVersion)
	}
	if m.Renewed = whole[string(secretKey)] == nil || whole[string(tailKey)] == nil; m.Renewed {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // it does not fail
		whole[string(secretKey)] = secret
	}
	if whole[string(tailKey)] == nil {
		t := endOf(tx)
		whole[string(tailKey)] = t.append(nil)
	}
	if err := tx.DeleteBucket(metaBucket.name); err != nil {
		return err
	}
	in, err := tx.CreateBucket(metaBucket.name)
	if err != nil {
		return err
	}
	for key, p := range whole {
		v := append(make([]byte, 4), p...)
		metaBucket.seal([]byte(key), v)
		if err := in.Put([]byte(key), v); err != nil {
			return err
		}
	}
	return nil
}

// startRow says what is wrong with one of the rows.
func startRow(key, p []byte) string {
	var err error
	switch {
	case p == nil:
		return "it is damaged, or missing"
	case bytes.Equal(key, tailKey):
		_, err = decodeTail(p)
	case bytes.Equal(key, secretKey) && len(p) != 32, bytes.Equal(key, formatKey) && !bytes.HasPrefix(p, []byte(formatMagic)):
		err = errors.New("malformed")
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// endOf finds where the log ends: behind all that its rows, heads and holes tell of.
func endOf(tx *bbolt.Tx) tail {
	t := tail{next: 1}
	logBucket.walk(tx, func(k, p []byte, err error) {
		if err != nil {
			return
		}
		if rec, err := decodeRecord(seqOf(k), p); err == nil {
			t.next, t.last, t.records = rec.End(), rec.Run, t.records+1
		}
	})
	headBucket.walk(tx, func(k, p []byte, err error) {
		if err != nil {
			return
		}
		if h, err := decodeHead(k, p); err == nil {
			t.next = max(t.next, h.LastSeq+1)
		}
	})
	holeBucket.walk(tx, func(k, p []byte, err error) {
		if n, size := binary.Uvarint(p); err == nil && len(k) == 8 && size == len(p) {
			t.next = max(t.next, seqOf(k)+n)
		}
	})
	return t
}
