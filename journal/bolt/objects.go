package bolt

import (
	"bytes"
	"cmp"
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
func (j *Journal) Objects(prefix, after string, limit int) (list []journal.Object, err error) {
	err = j.span(objectBucket, prefix, after, cmp.Or(max(limit, 0), 100), func(key string, p []byte, damaged string) {
		o := journal.Object{Key: key, Damaged: damaged}
		if damaged == "" {
			if o, err = decodeObject([]byte(key), p); err != nil {
				o = journal.Object{Key: key, Damaged: err.Error()}
			}
		}
		list = append(list, o)
	})
	return list, err
}

// Definitions lists all versions of all workflows, by name and version, without their bodies. Beside what is whole, the error says what
// is not.
func (j *Journal) Definitions() ([]journal.Definition, error) {
	var list []journal.Definition
	var bad journal.Damages
	err := j.view(func(tx *bbolt.Tx) error {
		lost := map[string]bool{}
		definitionBucket.walk(tx, func(k, p []byte, err error) {
			var d journal.Definition
			if err == nil {
				d, err = decodeDefinition(k, p)
			}
			if err != nil {
				bad = append(bad, definitionBucket.keyed(tx, k, err.Error()).Damage)
				return
			}
			current, err := currentVersion(tx, d.Name)
			if err != nil && !lost[d.Name] {
				bad = append(bad, journal.Damage{Kind: currentBucket.kind, Detail: fmt.Sprintf("which version of %q is current: %v", d.Name, err)})
				lost[d.Name] = true
			}
			d.Current = err == nil && d.Version == current
			list = append(list, d)
		})
		return nil
	})
	if err == nil && len(bad) > 0 {
		err = bad
	}
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
func (j *Journal) Rows(prefix string) ([]journal.Row, error) { return j.RowsAfter(prefix, "", 0) }

// RowsAfter lists up to limit (0: all) settings whose keys begin with prefix and come after a key, by key.
func (j *Journal) RowsAfter(prefix, after string, limit int) (list []journal.Row, err error) {
	err = j.span(rowBucket, prefix, after, limit, func(key string, p []byte, damaged string) {
		row := journal.Row{Key: key, Damaged: damaged}
		if damaged == "" {
			row.Value = append([]byte{}, p...)
		}
		list = append(list, row)
	})
	return list, err
}
