package bolt

import (
	"bytes"
	"math/bits"
	"slices"

	"go.etcd.io/bbolt"
)

// spanned is a row of a part of a bucket. damaged is what is wrong with it; "": it is whole.
type spanned struct {
	key, payload []byte
	damaged      string
}

// span gives up to limit (0: all) rows of a bucket whose keys begin with prefix and come after a key, by key. One that is damaged is given
// without its payload when it is one of them by its key, or may be.
func (j *Journal) span(b *bucket, prefix, after string, limit int, fn func(key string, payload []byte, damaged string)) error {
	return j.view(func(tx *bbolt.Tx) error {
		rows, whole := b.wholeSpan(tx, prefix, after, limit)
		if !whole {
			rows = b.hurtSpan(tx, prefix, after, limit)
		}
		for _, r := range rows {
			fn(string(r.key), r.payload, r.damaged)
		}
		return nil
	})
}

// wholeSpan gives them when every row that is met, and those beside them, are whole and in order: a damaged key hides its row, and may
// hide others.
func (b *bucket) wholeSpan(tx *bbolt.Tx, prefix, after string, limit int) (rows []spanned, whole bool) {
	c, from := tx.Bucket(b.name).Cursor(), []byte(max(prefix, after))
	last, v := before(c, from)
	if last != nil {
		if _, err := b.unseal(last, v); err != nil || bytes.Compare(last, from) >= 0 {
			return nil, false
		}
	}
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		p, err := b.unseal(k, v)
		if err != nil || last != nil && bytes.Compare(k, last) <= 0 {
			return nil, false
		}
		if last = k; !bytes.HasPrefix(k, []byte(prefix)) || limit > 0 && len(rows) == limit {
			break
		}
		if string(k) > after {
			rows = append(rows, spanned{key: k, payload: p})
		}
	}
	return rows, true
}

// before gives the row in front of the place of a key.
func before(c *bbolt.Cursor, key []byte) (k, v []byte) {
	if k, _ := c.Seek(key); k == nil {
		return last(c)
	}
	return c.Prev()
}

// hurtSpan gives them from reading the whole bucket.
func (b *bucket) hurtSpan(tx *bbolt.Tx, prefix, after string, limit int) (rows []spanned) {
	b.walk(tx, func(k, p []byte, err error) {
		switch is := bytes.HasPrefix(k, []byte(prefix)); {
		case is && string(k) <= after:
		case is && err == nil:
			rows = append(rows, spanned{key: k, payload: p})
		case is, err != nil && after <= prefix && likely(string(k), prefix): // where it belongs is not known: it comes with the first ones
			rows = append(rows, spanned{key: k, damaged: err.Error()})
		}
	})
	slices.SortFunc(rows, func(a, b spanned) int { return bytes.Compare(a.key, b.key) })
	if limit > 0 {
		rows = rows[:min(limit, len(rows))]
	}
	return rows
}

// likely says whether a damaged key began with a prefix: it does, but for one bit.
func likely(key, prefix string) bool {
	if len(key) < len(prefix) {
		return false
	}
	wrong := 0
	for i := range len(prefix) {
		wrong += bits.OnesCount8(key[i] ^ prefix[i])
	}
	return wrong == 1
}

func (b *bucket) whole(k, v []byte) bool {
	_, err := b.unseal(k, v)
	return err == nil
}

// seek stands at the first row from a key on, as Seek does. Where a damaged key is met on the way, which may have led the search astray, rows that
// are whole say where that is.
func (b *bucket) seek(c *bbolt.Cursor, key []byte) (k, v []byte) {
	k, v = c.Seek(key)
	if k == nil {
		if before, w := last(c); before == nil || b.whole(before, w) && bytes.Compare(before, key) < 0 {
			return nil, nil
		}
	} else if b.whole(k, v) {
		before, w := c.Prev()
		if before == nil {
			return c.First()
		}
		if b.whole(before, w) && bytes.Compare(before, key) < 0 {
			return c.Next()
		}
	}
	if k, v = c.Seek(key); k == nil {
		k, v = last(c)
	}
	for k != nil && (bytes.Compare(k, key) >= 0 || !b.whole(k, v)) {
		k, v = c.Prev()
	}
	if k == nil {
		k, v = c.First()
	}
	for k != nil && (bytes.Compare(k, key) < 0 || !b.whole(k, v)) {
		k, v = c.Next()
	}
	return k, v
}
