package shard

// Times is how many due times are in the queue.
func (r *Shard) Times() int { return r.due.Len() }
