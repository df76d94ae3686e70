package journal

// Verified says how much a look at a whole journal has seen.
type Verified struct {
	Records     uint64
	Events      uint64
	Runs        uint64
	Snapshots   uint64
	Objects     uint64
	Definitions uint64
	Rows        uint64 // settings of the layers above
	Bytes       uint64 // of records
	Damages     uint64
}
