package shard

// Times is how many due times are in the queue.
func (r *Shard) Times() int { return r.due.Len() }

// Births is how many births wait for a workflow, or for the end of a child, and KeptDues how many times are kept for held runs.
func (r *Shard) Births() (n int) {
	for _, list := range r.nursery.lacking {
		n += len(list)
	}
	for _, list := range r.nursery.ending {
		n += len(list)
	}
	return n
}

func (r *Shard) KeptDues() (n int) {
	for _, list := range r.careful.dues {
		n += len(list)
	}
	return n
}
