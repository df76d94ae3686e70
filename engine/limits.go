package engine

// Limits of what a request may say. Over them it is a *RequestError.
const (
	MaxReason         = maxReason   // bytes of a cancel's reason
	MaxCapacity       = maxCapacity // open leases of a worker's session at once
	MaxHandlers       = maxHandlers // of a worker's session
	MaxServiceVersion = 256         // bytes
	MaxHost           = 255         // bytes
)
