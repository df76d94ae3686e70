package bolt

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// docs/journal-format.md says the same in words. When a line here must change, so must the page, and the version.
func TestTheFormatIsAsItIsWrittenDown(t *testing.T) {
	sealedRow := func(b *bucket, key, payload []byte) []byte {
		v := append(make([]byte, 4), payload...)
		b.seal(key, v)
		return v
	}
	record := journal.Record{Seq: 300, Count: 2, Run: 100, Prev: 299, N: 130, At: 1_790_000_000_000, Body: []byte("body"), Left: 290}
	head := journal.Head{Run: 100, ID: "r-1", Workflow: "order", Version: 3, State: 2, LastSeq: 300, Events: 131, CreatedAt: 1_790_000_000_000,
		EndedAt: 1_790_000_000_001, Skipped: 1, Digest: []byte{0xd1}, Failed: "pay: no"}
	for _, c := range []struct {
		b    *bucket
		key  []byte
		got  []byte
		want string
	}{
		{logBucket, seqKey(300), appendRecord(nil, &record)[4:], "00 01a0c4506c00 02 c901 01 8201 0b 626f6479"},
		{headBucket, seqKey(100), appendHead(nil, &head), "00 02 01a0c4506c00 01a0c4506c01 03 c801 8301 01 03722d31 056f72646572 01d1 077061793a206e6f"},
		{idBucket, []byte("r-1"), appendID(nil, 100, 0), "64 00"},
		{objectBucket, []byte("k"), appendObject(nil, &journal.Object{Version: 1, Fence: 2, Seq: 300, State: []byte("{}")}), "01 02 ac02 7b7d"},
		{metaBucket, tailKey, (&tail{next: 302, records: 9, base: 200, last: 100, clean: true}).append(nil), "ae02 09 c801 64 01"},
	} {
		if got, want := hex.EncodeToString(c.got), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%s: %s, want %s", c.b.name, got, want)
		}
	}
	if got := hex.EncodeToString(sealedRow(rowBucket, []byte("key"), []byte("value"))); got != "6e91598e76616c7565" {
		t.Errorf("a sealed row: %s", got)
	}
	if got := hex.EncodeToString(append(flowKey("order", 100), stateKey(2, 100)...)); got != "056f72646572"+"0000000000000064"+"02"+"0000000000000064" {
		t.Errorf("index keys: %s", got)
	}
}

func TestADamagedTailIsARefusalThatNamesDoctor(t *testing.T) {
	path := sealed(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		v := append([]byte(nil), tx.Bucket(metaBucket.name).Get(tailKey)...)
		v[5] ^= 1
		return tx.Bucket(metaBucket.name).Put(tailKey, v)
	})
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamagedFile) || !strings.Contains(err.Error(), "agnt5d doctor") {
		t.Errorf("got %v", err)
	}
}
