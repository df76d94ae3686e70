package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/schedules"
)

// keepLedgers is how long rows of ledgers are kept after they were decided, and schedules after they were deleted.
const keepLedgers = 90 * 24 * time.Hour

const ledgerLook = 500 // rows of a ledger that are looked at at a time

// ledgers removes the rows of ledgers whose time is over, once a day.
func (k *keeper) ledgers(ctx context.Context) error {
	now := k.e.o.Clock.Now()
	if !now.After(k.rows) {
		return nil
	}
	for key := shard.ScheduleRows; ; {
		began := time.Now()
		page, err := k.e.j.RowsAfter(shard.ScheduleRows, key, ledgerLook)
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := k.ledger(ctx, row.Key[len(shard.ScheduleRows):], row.Value, now.Add(-keepLedgers).UnixMilli()); err != nil {
				return err
			}
			key = row.Key
		}
		if err := k.rest(ctx, time.Since(began), 0); err != nil {
			return err
		}
		if len(page) < ledgerLook {
			k.rows = now.Add(lookAnew)
			return nil
		}
	}
}

// ledger removes the rows of one ledger that are older than a moment, and the schedule when it was deleted before that and no row is left.
func (k *keeper) ledger(ctx context.Context, name string, state []byte, until int64) error {
	st, err := schedules.Decode(state)
	if err != nil { // damaged, and reported at the start
		return nil
	}
	prefix := shard.LedgerRows(name)
	left := st.Deleted >= until || st.Deleted == 0
	for key := prefix + schedules.KeyAt(until); ; {
		page, err := k.e.j.RowsAfter(prefix, key, ledgerLook)
		if err != nil {
			return err
		}
		forget := &shard.ForgetRows{Name: name, State: state}
		for _, r := range page {
			var row schedules.Row
			if err := json.Unmarshal(r.Value, &row); err != nil {
				return fmt.Errorf("the row %q of the journal cannot be read: %w", r.Key, err)
			}
			if row.Over(until) {
				forget.Keys = append(forget.Keys, r.Key)
			}
			key = r.Key
		}
		forget.Schedule = !left && len(page) < ledgerLook
		if len(forget.Keys) > 0 || forget.Schedule {
			if err := callErr(ctx, k.e, func(done func(error)) shard.Input { forget.Reply = done; return forget }); err != nil {
				return err
			}
		}
		if len(page) < ledgerLook {
			return nil
		}
	}
}
