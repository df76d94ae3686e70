package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Object gives the state of an object key.
func (j *Journal) Object(key string) (o journal.Object, ok bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		p, err := objectBucket.get(tx, []byte(key))
		if err != nil || p == nil {
			return err
		}
		ok = true
		if o, err = decodeObject([]byte(key), p); err != nil {
			return objectBucket.damage([]byte(key), err.Error())
		}
		return nil
	})
	return o, ok && err == nil, err
}

// Objects lists the objects whose keys begin with prefix, by key, after the key after, up to limit (0: 100).
func (j *Journal) Objects(prefix, after string, limit int) ([]journal.Object, error) {
	if limit <= 0 {
		limit = 100
	}
	from := []byte(max(prefix, after))
	var list []journal.Object
	err := j.view(func(tx *bbolt.Tx) error {
		return objectBucket.each(tx, []byte(prefix), from, func(k, p []byte) error {
			if string(k) == after {
				return nil
			}
			o, err := decodeObject(k, p)
			if err != nil {
				return objectBucket.damage(k, err.Error())
			}
			if list = append(list, o); len(list) == limit {
				return errStop
			}
			return nil
		})
	})
	return list, err
}

// Definitions lists all versions of all workflows, by name and version, without their bodies.
func (j *Journal) Definitions() ([]journal.Definition, error) {
	var list []journal.Definition
	err := j.view(func(tx *bbolt.Tx) error {
		return definitionBucket.each(tx, nil, nil, func(k, p []byte) error {
			d, err := decodeDefinition(k, p)
			if err != nil {
				return definitionBucket.damage(nil, err.Error())
			}
			current, err := currentVersion(tx, d.Name)
			if err != nil {
				return err
			}
			d.Current = d.Version == current
			list = append(list, d)
			return nil
		})
	})
	return list, err
}

// currentVersion gives the current version of a workflow; 0: none was made so.
func currentVersion(tx *bbolt.Tx, name string) (uint32, error) {
	p, err := currentBucket.get(tx, []byte(name))
	if err != nil || p == nil {
		return 0, err
	}
	v, size := binary.Uvarint(p)
	if size != len(p) {
		return 0, currentBucket.damage([]byte(name), "malformed")
	}
	return uint32(v), nil
}

// DefinitionBody gives the canonical JSON with a digest, which is checked.
func (j *Journal) DefinitionBody(digest string) ([]byte, error) {
	var body []byte
	err := j.view(func(tx *bbolt.Tx) error {
		p, err := bodyBucket.get(tx, []byte(digest))
		if err == nil && p == nil {
			err = fmt.Errorf("journal: definition %s: %w", digest, journal.ErrNotFound)
		}
		body = bytes.Clone(p)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkDigest(digest, body); err != nil {
		return nil, err
	}
	return body, nil
}

// checkDigest checks a body against a digest of the form "sha256:<hex>". Others are not ours to check.
func checkDigest(digest string, body []byte) error {
	want, ok := strings.CutPrefix(digest, "sha256:")
	if !ok {
		return nil
	}
	sum := sha256.Sum256(body)
	if got := hex.EncodeToString(sum[:]); got != want {
		return bodyBucket.damage([]byte(digest), "its body has the digest sha256:"+got)
	}
	return nil
}

// Row gives a setting of the layers above.
func (j *Journal) Row(key string) (value []byte, ok bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		p, err := rowBucket.get(tx, []byte(key))
		if ok = p != nil; ok {
			value = append([]byte{}, p...)
		}
		return err
	})
	return value, ok, err
}

// Rows lists the settings whose keys begin with prefix, by key.
func (j *Journal) Rows(prefix string) ([]journal.Row, error) {
	var list []journal.Row
	err := j.view(func(tx *bbolt.Tx) error {
		return rowBucket.each(tx, []byte(prefix), []byte(prefix), func(k, p []byte) error {
			list = append(list, journal.Row{Key: string(k), Value: append([]byte{}, p...)})
			return nil
		})
	})
	return list, err
}

// RowsAfter lists up to limit settings whose keys begin with prefix and come after a key, by key.
func (j *Journal) RowsAfter(prefix, after string, limit int) ([]journal.Row, error) {
	var list []journal.Row
	from := max(prefix, after)
	err := j.view(func(tx *bbolt.Tx) error {
		return rowBucket.each(tx, []byte(prefix), []byte(from), func(k, p []byte) error {
			if len(list) >= limit {
				return errStop
			}
			if string(k) > after {
				list = append(list, journal.Row{Key: string(k), Value: append([]byte{}, p...)})
			}
			return nil
		})
	})
	return list, err
}
