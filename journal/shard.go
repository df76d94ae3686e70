package journal

// Shard is the number of one log among those that together are one journal. A file is shard 0. A shard's sequences are its own:
// they begin at First and stay below the next shard's, so that a sequence, and with it a run's number, says which log has it.
type Shard uint32

// shardBits is how many bits of a sequence count within its shard: 17 million million events, which is half a million a second
// for a year.
const shardBits = 44

// MaxShard is the highest shard whose sequences fit.
const MaxShard Shard = 1<<(64-shardBits) - 1

// ShardOf gives the shard that a sequence or a run's number belongs to. 0, which stands for none, belongs to shard 0.
func ShardOf(seq uint64) Shard { return Shard(seq >> shardBits) }

// First is the sequence of the first event of the shard's log.
func (s Shard) First() uint64 { return uint64(s)<<shardBits + 1 }
