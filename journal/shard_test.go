package journal

import "testing"

func TestASequenceSaysItsShard(t *testing.T) {
	for _, c := range []struct {
		shard Shard
		first uint64
	}{{0, 1}, {1, 1<<44 + 1}, {3, 3<<44 + 1}, {255, 255<<44 + 1}, {MaxShard, 1<<64 - 1<<44 + 1}} {
		if got := c.shard.First(); got != c.first {
			t.Errorf("shard %d begins at %d, want %d", c.shard, got, c.first)
		}
		for _, seq := range []uint64{c.first, c.first + 1, c.first + 1<<44 - 3} {
			if got := ShardOf(seq); got != c.shard {
				t.Errorf("%d belongs to shard %d, want %d", seq, got, c.shard)
			}
		}
	}
	if ShardOf(0) != 0 {
		t.Error("no sequence belongs to shard 0")
	}
}
