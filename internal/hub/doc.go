// Package hub is where workers meet the shards of a process. Sessions are the process's: a worker opens one, whichever shards
// there are, and polls for tasks of all of them. Leases are the shards': each says what it has to run, gives a task when the hub
// asks for one on behalf of a session, and knows itself when a lease ends.
//
//	worker -> Hub:   Join, Poll, Beat, Leave (Turn)       Hub -> shard:  Lend, Adopt, Gone, Beat, Outcome (Link)
//	Hub -> worker:   the Reply of each                    shard -> Hub:  Offered, Given, Left, Cancelled (shard.Host)
//
// A handler's queues at the shards take turns, one task each, so that no shard's work starves another's; so do the sessions that
// serve it. A service's bound counts over all sessions and all shards. What a poll brings goes to the shard that the run's number
// names; it is answered when each of its outcomes is durable there.
//
// The Hub is not safe for concurrent use and starts nothing: times are handed in, and what is to go to a shard goes through its
// Link, which may do it at once or carry it to another goroutine, in order. So may what comes back. The hub waits for no shard,
// and no shard for the hub or for another shard.
package hub
